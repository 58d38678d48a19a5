//! `isoloss._core`: signatures, conversion and errors. All work is done in `isoloss-core`.

#![forbid(unsafe_code)]
#![allow(missing_docs)] // the Python side documents what it exposes; the stub is checked against this module

mod arrays;
mod batch;
mod errors;
mod watch;

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
mod _core {
    use std::collections::HashMap;

    use isoloss_core::expr;
    use isoloss_core::fit::{self, Batch, Constraints, Loss, MAX_ITERATIONS, Objective, Space, Status};
    use isoloss_core::job::Job;
    use isoloss_core::sample;
    use isoloss_core::search::{Axis, Between, Definition, Query};
    use isoloss_core::simd::{Level, level};
    use numpy::{
        IntoPyArray, PyArray1, PyArray2, PyArray3, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2,
        PyReadonlyArrayDyn,
    };
    use pyo3::prelude::*;
    use pyo3::types::{PyDict, PyList};

    use crate::arrays::{dense, indices, pairs, slices};
    use crate::batch::Given;
    #[pymodule_export]
    use crate::errors::ExpressionError;
    use crate::errors::{Failure, option};
    use crate::watch::watched;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let statuses: Vec<(&str, bool, &str)> =
            Status::ALL.iter().map(|s| (s.name(), s.is_success(), s.message())).collect();
        module.add("STATUS", PyList::new(module.py(), statuses)?)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }

    /// An array of one axis.
    type Numbers<'py> = Bound<'py, PyArray1<f64>>;

    /// Columns by name of inner tables by name.
    type Tables<'py> = HashMap<String, HashMap<String, PyReadonlyArray1<'py, f64>>>;

    fn inner_tables(given: Tables<'_>) -> Result<Vec<expr::InnerTable>, Failure> {
        let table = |(name, columns): (String, HashMap<String, PyReadonlyArray1<'_, f64>>)| {
            let mut columns = columns
                .into_iter()
                .map(|(name, values)| Ok((name, dense(&values)?.into_owned())))
                .collect::<Result<Vec<(String, Vec<f64>)>, Failure>>()?;
            columns.sort_by(|a, b| a.0.cmp(&b.0));
            Ok(expr::InnerTable { name, columns })
        };
        given.into_iter().map(table).collect()
    }

    fn space_of(name: &str) -> Result<Space, Failure> {
        match name {
            "raw" => Ok(Space::Raw),
            "log" => Ok(Space::Log),
            "logit" => Ok(Space::Logit),
            other => Err(option(format!("unknown space {other:?}: raw, log or logit"))),
        }
    }

    /// A parsed law.
    #[pyclass(frozen, module = "isoloss._core")]
    struct Expression {
        inner: expr::Expression,
    }

    #[pymethods]
    impl Expression {
        #[new]
        #[pyo3(signature = (text, *, variables, constants = None, tables = None))]
        fn new(
            text: &str,
            variables: Vec<String>,
            constants: Option<HashMap<String, f64>>,
            tables: Option<Tables<'_>>,
        ) -> Result<Self, Failure> {
            let variables: Vec<&str> = variables.iter().map(String::as_str).collect();
            let constants = constants.unwrap_or_default();
            let constants: Vec<(&str, f64)> = constants.iter().map(|(name, &value)| (name.as_str(), value)).collect();
            let tables = inner_tables(tables.unwrap_or_default())?;
            Ok(Self { inner: expr::Expression::parse_with(text, &variables, &constants, &tables)? })
        }

        /// Inner tables of which each row sums a stretch, with their columns.
        #[getter]
        fn inner(&self) -> HashMap<String, Vec<String>> {
            self.inner.inner().into_iter().map(|(name, columns)| (name.to_owned(), columns.to_vec())).collect()
        }

        /// The same with data for its inner tables.
        fn with_inner(&self, tables: Tables<'_>) -> Result<Self, Failure> {
            Ok(Self { inner: self.inner.with_inner(&inner_tables(tables)?)? })
        }

        #[getter]
        fn text(&self) -> &str {
            self.inner.text()
        }

        #[getter]
        fn variables(&self) -> Vec<String> {
            self.inner.variables().to_vec()
        }

        #[getter]
        fn parameters(&self) -> Vec<String> {
            self.inner.parameters().to_vec()
        }

        #[getter]
        fn linear(&self) -> Vec<bool> {
            self.inner.linear().to_vec()
        }

        #[pyo3(signature = (columns, parameters, *, threads = 0))]
        fn evaluate<'py>(
            &self,
            py: Python<'py>,
            columns: Vec<PyReadonlyArray1<'py, f64>>,
            parameters: PyReadonlyArrayDyn<'py, f64>,
            threads: usize,
        ) -> Result<Bound<'py, PyArray2<f64>>, Failure> {
            let columns = slices(&columns)?;
            let columns: Vec<&[f64]> = columns.iter().map(AsRef::as_ref).collect();
            let parameters = dense(&parameters)?;
            let job = Job::new(threads)?;
            let rows = columns.first().map_or(1, |c| c.len());
            let values =
                watched(py, None, false, |control| self.inner.evaluate_many(&columns, &parameters, job, control))?;
            let sets = values.len().checked_div(rows).unwrap_or(0);
            Ok(PyArray1::from_vec(py, values).reshape([sets, rows])?)
        }

        #[allow(clippy::type_complexity)] // three arrays, as the stub says
        fn derivatives<'py>(
            &self,
            py: Python<'py>,
            columns: Vec<PyReadonlyArray1<'py, f64>>,
            parameters: PyReadonlyArrayDyn<'py, f64>,
        ) -> Result<(Bound<'py, PyArray1<f64>>, Bound<'py, PyArray2<f64>>, Bound<'py, PyArray3<f64>>), Failure>
        {
            let columns = slices(&columns)?;
            let columns: Vec<&[f64]> = columns.iter().map(AsRef::as_ref).collect();
            let parameters = dense(&parameters)?;
            let (value, gradient, hessian) = py.detach(|| self.inner.derivatives(&columns, &parameters))?;
            let (n, p) = (value.len(), self.inner.parameters().len());
            Ok((
                value.into_pyarray(py),
                gradient.into_pyarray(py).reshape([n, p])?,
                hessian.into_pyarray(py).reshape([n, p, p])?,
            ))
        }

        #[pyo3(signature = (*, log_scale = None))]
        fn explain(&self, log_scale: Option<Vec<bool>>) -> Result<String, Failure> {
            let log_scale = log_scale.unwrap_or_else(|| vec![false; self.inner.parameters().len()]);
            Ok(fit::explain(&self.inner, &log_scale)?)
        }

        fn __repr__(&self) -> String {
            format!("Expression({:?})", self.inner.text())
        }
    }

    /// The free names of a text, in order of first appearance.
    #[pyfunction]
    fn names(text: &str) -> Result<Vec<String>, Failure> {
        Ok(expr::names(text)?)
    }

    /// Fits a batch of problems.
    #[pyfunction]
    #[pyo3(signature = (
        expression, columns, targets, starts, *, weights = None, target_index = None, weight_index = None,
        offsets = None, log_scale, lower, upper, fixed, tied, objective, delta, deltas = None, shape = 1.0, space,
        max_iterations = 0, threads = 0, progress = None, partial = false
    ))]
    #[allow(clippy::too_many_arguments)] // keyword-only in Python, named by the stub
    fn fit_batch<'py>(
        py: Python<'py>,
        expression: &Expression,
        columns: Vec<PyReadonlyArray1<'py, f64>>,
        targets: PyReadonlyArrayDyn<'py, f64>,
        starts: PyReadonlyArrayDyn<'py, f64>,
        weights: Option<PyReadonlyArrayDyn<'py, f64>>,
        target_index: Option<PyReadonlyArray1<'py, i64>>,
        weight_index: Option<PyReadonlyArray1<'py, i64>>,
        offsets: Option<PyReadonlyArray1<'py, i64>>,
        log_scale: Vec<bool>,
        lower: PyReadonlyArray1<'py, f64>,
        upper: PyReadonlyArray1<'py, f64>,
        fixed: Vec<bool>,
        tied: Vec<usize>,
        objective: &str,
        delta: f64,
        deltas: Option<PyReadonlyArray1<'py, f64>>,
        shape: f64,
        space: &str,
        max_iterations: u32,
        threads: usize,
        progress: Option<Py<PyAny>>,
        partial: bool,
    ) -> Result<Bound<'py, PyDict>, Failure> {
        let given = Given::new(&columns, &targets, weights.as_ref(), (&target_index, &weight_index), &offsets)?;
        let (columns, starts) = (given.columns(), dense(&starts)?);
        let (lower, upper) = (dense(&lower)?.into_owned(), dense(&upper)?.into_owned());
        let constraints = Constraints { log_scale, lower, upper, fixed, tied };
        let loss = match objective {
            "squared" => Loss::Squared,
            "huber" => Loss::Huber { delta },
            "absolute" => Loss::Absolute,
            "soft_l1" => Loss::SoftL1 { delta },
            "cauchy" => Loss::Cauchy { delta },
            "log_cosh" => Loss::LogCosh { delta },
            "asymmetric_huber" => Loss::AsymmetricHuber { delta, over: shape },
            "expectile" => Loss::Expectile { over: shape },
            "quantile" => Loss::Quantile { tau: shape },
            "binomial" => Loss::Binomial,
            other => return Err(option(format!("unknown objective {other:?}"))),
        };
        let space = space_of(space)?;
        let deltas = deltas.as_ref().map(dense).transpose()?;
        let job = Job::new(threads)?;
        let law = &expression.inner;
        let (fits, stopped) = watched(py, progress, partial, |control| {
            let batch = Batch {
                deltas: deltas.as_deref(),
                max_iterations: if max_iterations == 0 { MAX_ITERATIONS } else { max_iterations },
                ..given.batch(law, &columns, &starts, &constraints, Objective { loss, space })
            };
            Ok((batch.run(&job, control)?, control.is_cancelled()))
        })?;
        let p = law.parameters().len();
        let b = fits.value.len();
        let out = PyDict::new(py);
        out.set_item("params", fits.parameters.into_pyarray(py).reshape([b, p])?)?;
        out.set_item("value", fits.value.into_pyarray(py))?;
        out.set_item("status", fits.status.into_pyarray(py))?;
        out.set_item("iterations", fits.iterations.into_pyarray(py))?;
        out.set_item("at_bound", fits.at_bound.into_pyarray(py).reshape([b, p])?)?;
        // Also where the last problem ended as the interrupt came: the caller asked for no more work.
        out.set_item("stopped", stopped)?;
        Ok(out)
    }

    /// How wide the residuals of each problem are spread about its law, and its targets: 1.4826 times the median
    /// absolute deviation from the median.
    #[pyfunction]
    #[pyo3(signature = (
        expression, columns, targets, params, *, weights = None, target_index = None, weight_index = None,
        offsets = None, space, threads = 0
    ))]
    #[allow(clippy::too_many_arguments)] // keyword-only in Python, named by the stub
    fn robust_sigmas<'py>(
        py: Python<'py>,
        expression: &Expression,
        columns: Vec<PyReadonlyArray1<'py, f64>>,
        targets: PyReadonlyArrayDyn<'py, f64>,
        params: PyReadonlyArray2<'py, f64>,
        weights: Option<PyReadonlyArrayDyn<'py, f64>>,
        target_index: Option<PyReadonlyArray1<'py, i64>>,
        weight_index: Option<PyReadonlyArray1<'py, i64>>,
        offsets: Option<PyReadonlyArray1<'py, i64>>,
        space: &str,
        threads: usize,
    ) -> Result<(Numbers<'py>, Numbers<'py>), Failure> {
        let given = Given::new(&columns, &targets, weights.as_ref(), (&target_index, &weight_index), &offsets)?;
        let (columns, params) = (given.columns(), dense(&params)?);
        let law = &expression.inner;
        let (space, job) = (space_of(space)?, Job::new(threads)?);
        let constraints = Constraints::none(law.parameters().len());
        let sigmas = watched(py, None, false, |control| {
            let objective = Objective { loss: Loss::Squared, space };
            given.batch(law, &columns, &params, &constraints, objective).sigmas(&job, control)
        })?;
        Ok((sigmas.residual.into_pyarray(py), sigmas.target.into_pyarray(py)))
    }

    /// Bootstrap weights by cluster: draws × rows.
    #[pyfunction]
    #[pyo3(signature = (seed, draws, clusters, size, *, threads = 0))]
    fn resample_counts<'py>(
        py: Python<'py>,
        seed: u64,
        draws: usize,
        clusters: PyReadonlyArray1<'py, i64>,
        size: usize,
        threads: usize,
    ) -> Result<Bound<'py, PyArray2<f64>>, Failure> {
        let clusters = indices("clusters", &clusters)?;
        if let Some(row) = clusters.iter().position(|&c| c >= size) {
            return Err(option(format!("row {row} is of cluster {} where there are {size}", clusters[row])));
        }
        if size > u32::MAX as usize {
            return Err(option("more clusters than 32 bits count"));
        }
        let job = Job::new(threads)?;
        let weights =
            watched(py, None, false, |control| sample::resample_counts(seed, draws, &clusters, size, job, control))?;
        Ok(weights.into_pyarray(py).reshape([draws, clusters.len()])?)
    }

    /// A definition: its name, its text, its constants and its aliases.
    type Named = (String, String, HashMap<String, f64>, HashMap<String, String>);

    fn definitions_of(given: Vec<Named>) -> Vec<Definition> {
        let made = |(name, text, constants, aliases): Named| Definition {
            name,
            text,
            constants: constants.into_iter().collect(),
            aliases: aliases.into_iter().collect(),
        };
        given.into_iter().map(made).collect()
    }

    /// Bounds that no point of some boxes is below.
    #[pyfunction]
    #[pyo3(signature = (
        definitions, minimize, columns, low, high, reached, close, *, condition = None, most, threads = 0, progress = None
    ))]
    #[allow(clippy::too_many_arguments)] // named by the stub
    fn search_between<'py>(
        py: Python<'py>,
        definitions: Vec<Named>,
        minimize: &str,
        columns: Vec<String>,
        low: PyReadonlyArrayDyn<'py, f64>,
        high: PyReadonlyArrayDyn<'py, f64>,
        reached: PyReadonlyArrayDyn<'py, f64>,
        close: PyReadonlyArrayDyn<'py, f64>,
        condition: Option<&str>,
        most: usize,
        threads: usize,
        progress: Option<Py<PyAny>>,
    ) -> Result<Bound<'py, PyArray1<f64>>, Failure> {
        let definitions = definitions_of(definitions);
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let (low, high, reached, close) = (dense(&low)?, dense(&high)?, dense(&reached)?, dense(&close)?);
        let between = Between {
            definitions: &definitions,
            minimize,
            condition,
            columns: &columns,
            low: &low,
            high: &high,
            reached: &reached,
            close: &close,
            most,
        };
        let job = Job::new(threads)?;
        Ok(watched(py, progress, false, |control| between.run(job, control))?.into_pyarray(py))
    }

    /// Searches a Cartesian grid.
    #[pyfunction]
    #[pyo3(signature = (
        axes, by, definitions, minimize, *, second = None, condition = None, within = None, top = 0, shape = false, tally = false,
        visit = false, threads = 0, progress = None, partial = false
    ))]
    // keyword-only in Python, named by the stub
    #[allow(clippy::too_many_arguments, clippy::type_complexity, clippy::fn_params_excessive_bools)]
    fn search_grid<'py>(
        py: Python<'py>,
        axes: Vec<(Vec<String>, Vec<PyReadonlyArray1<'py, f64>>, Option<PyReadonlyArray2<'py, f64>>)>,
        by: Vec<usize>,
        definitions: Vec<Named>,
        minimize: &str,
        second: Option<&str>,
        condition: Option<&str>,
        within: Option<f64>,
        top: usize,
        shape: bool,
        tally: bool,
        visit: bool,
        threads: usize,
        progress: Option<Py<PyAny>>,
        partial: bool,
    ) -> Result<Bound<'py, PyDict>, Failure> {
        let axes = axes
            .into_iter()
            .map(|(names, columns, scale)| {
                Ok(Axis {
                    columns: names
                        .into_iter()
                        .zip(&columns)
                        .map(|(name, values)| Ok((name, dense(values)?.into_owned())))
                        .collect::<Result<_, Failure>>()?,
                    scale: scale.as_ref().map(|scale| pairs("scale", scale)).transpose()?.unwrap_or_default(),
                })
            })
            .collect::<Result<Vec<Axis>, Failure>>()?;
        let definitions = definitions_of(definitions);
        let job = Job::new(threads)?;
        let query = Query {
            axes: &axes,
            by: &by,
            definitions: &definitions,
            minimize,
            second,
            condition,
            within,
            top,
            shape,
            tally,
            visit,
        };
        let found = watched(py, progress, partial, |control| query.run(job, control))?;
        let (groups, m) = (found.best.len(), axes.len() - by.len());
        let pairs = m * (m + 1) / 2;
        let near = found.count.len();
        let shapes = found.volume.len();
        let out = PyDict::new(py);
        out.set_item("cells", found.cells)?;
        out.set_item("stopped", found.stopped)?;
        out.set_item("visited", found.visited.into_pyarray(py))?;
        out.set_item("known", found.known.into_pyarray(py))?;
        out.set_item("best", found.best.into_pyarray(py))?;
        out.set_item("cell", found.cell.into_pyarray(py))?;
        out.set_item("feasible", found.feasible.into_pyarray(py))?;
        out.set_item("nonfinite", found.nonfinite.into_pyarray(py))?;
        out.set_item("top_value", found.top_value.into_pyarray(py).reshape([groups, top])?)?;
        out.set_item("top_cell", found.top_cell.into_pyarray(py).reshape([groups, top])?)?;
        out.set_item("front_start", found.front_start.into_pyarray(py))?;
        out.set_item("front_first", found.front_first.into_pyarray(py))?;
        out.set_item("front_second", found.front_second.into_pyarray(py))?;
        out.set_item("front_cell", found.front_cell.into_pyarray(py))?;
        out.set_item("count", found.count.into_pyarray(py))?;
        out.set_item("low", found.low.into_pyarray(py).reshape([near, m])?)?;
        out.set_item("high", found.high.into_pyarray(py).reshape([near, m])?)?;
        out.set_item("volume", found.volume.into_pyarray(py))?;
        out.set_item("first", found.first.into_pyarray(py).reshape([shapes, m])?)?;
        out.set_item("second", found.second.into_pyarray(py).reshape([shapes, pairs])?)?;
        out.set_item("parts", found.parts.into_pyarray(py))?;
        out.set_item("tally", found.tally.into_pyarray(py))?;
        Ok(out)
    }

    /// What this build is and what it uses.
    #[pyfunction]
    fn build_info(py: Python<'_>) -> Result<Bound<'_, PyDict>, Failure> {
        let info = PyDict::new(py);
        info.set_item("version", env!("CARGO_PKG_VERSION"))?;
        info.set_item("profile", if cfg!(debug_assertions) { "debug" } else { "release" })?;
        info.set_item("simd", level::active().map_err(option)?.name())?;
        let available: Vec<&str> = Level::available().into_iter().map(Level::name).collect();
        info.set_item("simd_available", available)?;
        info.set_item("threads", Job::new(0)?.threads())?;
        info.set_item("target", format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS))?;
        Ok(info)
    }
}
