// Fits of the Chinchilla law by Ceres Solver: one cost function with all points of a problem, exact Jacobian.
//
// A Huber loss enters as the residual sign(r) sqrt(2 rho(r)), whose squares sum to the same objective. That is the
// fast way to give Ceres 240 points: one block, a dense 5 x 5 system, no block per point.

#include <ceres/ceres.h>

#include <cmath>

namespace {

class Law : public ceres::CostFunction {
  public:
    Law(int n, const double *x1, const double *x2, const double *y, const double *w, double delta)
        : n_(n), x1_(x1), x2_(x2), y_(y), w_(w), delta_(delta) {
        set_num_residuals(n);
        mutable_parameter_block_sizes()->push_back(5);
    }

    bool Evaluate(double const *const *parameters, double *residuals, double **jacobians) const override {
        const double *t = parameters[0];
        double *jacobian = jacobians == nullptr ? nullptr : jacobians[0];
        const double floor = std::exp(t[0]);
        for (int i = 0; i < n_; i++) {
            const double p1 = std::exp(t[1] - t[2] * x1_[i]), p2 = std::exp(t[3] - t[4] * x2_[i]);
            const double p = floor + p1 + p2, r = std::log(p) - y_[i], root = std::sqrt(w_[i]);
            double value = r, slope = 1.0;
            if (delta_ > 0.0 && std::abs(r) > delta_) {
                const double size = std::sqrt(2.0 * delta_ * (std::abs(r) - 0.5 * delta_));
                value = std::copysign(size, r);
                slope = delta_ / size;
            }
            residuals[i] = root * value;
            if (!std::isfinite(value)) return false;
            if (jacobian != nullptr) {
                const double scale = root * slope / p;
                double *row = jacobian + 5 * i;
                row[0] = scale * floor;
                row[1] = scale * p1;
                row[2] = -scale * p1 * x1_[i];
                row[3] = scale * p2;
                row[4] = -scale * p2 * x2_[i];
            }
        }
        return true;
    }

  private:
    int n_;
    const double *x1_, *x2_, *y_, *w_;
    double delta_;
};

}  // namespace

// `counts` is problems x n, `starts` and `out` problems x 5; points of weight zero are left out.
extern "C" void fit(long problems, long n, const double *x1, const double *x2, const double *y, const double *counts,
                    double delta, const double *starts, double *out) {
    std::vector<double> a, b, c, w;
    for (long k = 0; k < problems; k++) {
        a.clear(), b.clear(), c.clear(), w.clear();
        for (long i = 0; i < n; i++) {
            const double weight = counts[k * n + i];
            if (weight == 0.0) continue;
            a.push_back(x1[i]), b.push_back(x2[i]), c.push_back(y[i]), w.push_back(weight);
        }
        double *t = out + 5 * k;
        for (int j = 0; j < 5; j++) t[j] = starts[5 * k + j];
        Law law(static_cast<int>(a.size()), a.data(), b.data(), c.data(), w.data(), delta);
        ceres::Problem::Options shared;
        shared.cost_function_ownership = ceres::DO_NOT_TAKE_OWNERSHIP;
        ceres::Problem problem(shared);
        problem.AddResidualBlock(&law, nullptr, t);
        ceres::Solver::Options options;
        options.linear_solver_type = ceres::DENSE_NORMAL_CHOLESKY;
        options.max_num_iterations = 500;
        options.function_tolerance = 1e-12;
        options.gradient_tolerance = 1e-16;
        options.parameter_tolerance = 1e-12;
        options.num_threads = 1;
        options.logging_type = ceres::SILENT;
        ceres::Solver::Summary summary;
        ceres::Solve(options, &problem, &summary);
    }
}
