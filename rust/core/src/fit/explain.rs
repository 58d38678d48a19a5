//! What the engine makes of a law, as text: the solver's form, and what is computed how often.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::chain::Chain;
use super::layout::Family;
use super::objective::{Loss, Objective, Space};
use super::program::{Constraints, Program};
use super::reduction::Reduction;
use crate::error::Result;
use crate::expr::{Columns, Expression, Graph, Id, Labels, Mean, Names, Rate, Src, counts, infix, listing, shape};

/// Columns of which nothing is known but that they are positive. Means are numbers that stand for themselves: each
/// has bits of its own, by which it is found again in the program.
struct Unknown<'a> {
    names: &'a mut Names,
    means: HashMap<String, f64>,
}

impl Columns for Unknown<'_> {
    fn mean(&mut self, graph: &Graph, id: Id) -> Option<Mean> {
        let text = infix(graph, id, self.names);
        let next = f64::from_bits(1.234_567_891_234_567_8f64.to_bits() + self.means.len() as u64);
        let mean = *self.means.entry(text.clone()).or_insert(next);
        self.names.constants.insert(mean.to_bits(), format!("mean({text})"));
        Some(Mean::Shared(mean))
    }

    fn positive(&mut self, _: &Graph, _: Id) -> bool {
        true
    }
}

/// Describes how `law` is computed when it is fitted; `log_scale` says which parameters are positive. Every column,
/// and every expression of columns alone, is taken to be positive, since no data are at hand; the residuals are taken
/// as they are, not in logarithms.
///
/// # Errors
/// [`crate::Error::Shape`] when `log_scale` does not have one entry per parameter.
///
/// ```
/// use isoloss_core::expr::Expression;
///
/// let law = Expression::parse("E + A / N**alpha", &["N"], &[])?;
/// let text = isoloss_core::fit::explain(&law, &[true, true, false])?;
/// assert!(text.contains("exp(log(A') - alpha * (log(N) - mean(log(N))))"));
/// # Ok::<(), isoloss_core::Error>(())
/// ```
pub fn explain(law: &Expression, log_scale: &[bool]) -> Result<String> {
    let p = law.parameters().len();
    shape("log_scale", log_scale.len(), p)?;
    let constraints = Constraints { log_scale: log_scale.to_vec(), ..Constraints::none(p) };
    let objective = |space| Objective { loss: Loss::Squared, space };
    let mut names =
        Names { columns: law.variables().to_vec(), parameters: law.parameters().to_vec(), ..Names::default() };
    let mut columns = Unknown { names: &mut names, means: HashMap::new() };
    let (graph, root, program) = Program::build(law, &mut columns, &constraints, objective(Space::Raw));
    let (log_graph, log_root, log_program) = Program::build(law, &mut columns, &constraints, objective(Space::Log));
    for (j, name) in names.parameters.iter_mut().enumerate() {
        if log_scale[j] {
            let pivot = if program.shifts[j].is_empty() { "" } else { "'" };
            *name = format!("log({name}{pivot})");
        }
    }
    let mut text = format!("{}\n\nSolver's form, every column taken as positive\n", law.text());
    line(&mut text, &infix(&graph, root, &names));
    for (j, shifts) in program.shifts.iter().enumerate().filter(|(_, shifts)| !shifts.is_empty()) {
        let name = &law.parameters()[j];
        let mut pivot = format!("log({name}) = log({name}')");
        for &(shift, k) in shifts {
            let shift = shift.factor;
            let sign = if shift < 0.0 { '-' } else { '+' };
            let mean = names.constants.get(&shift.abs().to_bits()).cloned();
            let mean = mean.unwrap_or_else(|| shift.abs().to_string());
            let _ = write!(pivot, " {sign} {mean} * {}", law.parameters()[k]);
        }
        line(&mut text, &pivot);
    }
    if log_program.objective.space == Space::Raw {
        let exponent = infix(&log_graph, log_root, &names);
        line(&mut text, &format!("a residual in logarithms needs only the exponent, {exponent}"));
    }
    write_program(&mut text, &graph, &program, &names);
    Ok(text)
}

fn line(text: &mut String, content: &str) {
    text.push_str("  ");
    text.push_str(content);
    text.push('\n');
}

fn write_program(text: &mut String, graph: &Graph, program: &Program, names: &Names) {
    let by_rate = |rate: Rate| program.code.point.inputs.iter().filter(move |&&id| graph.rate(id) == rate);
    let labels = Labels { graph, names };
    // Once per data set.
    let mut inputs: HashMap<Id, String> = HashMap::new();
    text.push_str("\nOnce per data set, from columns alone\n");
    for (k, &id) in by_rate(Rate::Column).enumerate() {
        let content = infix(graph, id, names);
        line(text, &format!("x{k} = {content}"));
        inputs.insert(id, format!("x{k}"));
    }
    // Once per problem: the leaves keep their names.
    let leaves: Vec<String> = program.code.lane.inputs.iter().map(|&id| infix(graph, id, names)).collect();
    let (lines, outputs) = listing(labels, &program.code.lane, &leaves, "p");
    let _ = writeln!(text, "\nOnce per problem and iteration, from parameters alone: {}", counts(&program.code.lane));
    text.push_str(&lines);
    for (&id, name) in by_rate(Rate::Problem).zip(&outputs) {
        inputs.insert(id, name.clone());
    }
    // For every point.
    let operands: Vec<String> = program
        .code
        .point
        .inputs
        .iter()
        .map(|id| inputs.get(id).cloned().unwrap_or_else(|| infix(graph, *id, names)))
        .collect();
    let point = &program.code.point;
    let (lines, values) = listing(labels, point, &operands, "t");
    let _ = writeln!(text, "\nFor every point: {} in {} registers", counts(point), point.registers);
    text.push_str(&lines);
    line(text, &format!("{} is the prediction", values[0]));
    let value = |src: Src| {
        let place = point.outputs.iter().position(|&other| other == src);
        place.map_or("", |place| values[place].as_str())
    };
    write_sums(text, program, names, value, &outputs);
    if let Some(chain) = &program.code.chain {
        write_chain(text, program, chain, &infix(graph, chain.node, names), value);
    }
}

/// How the sums over points make the gradient, and how many there are.
fn write_sums<'a>(
    text: &mut String,
    program: &Program,
    names: &Names,
    value: impl Fn(Src) -> &'a str,
    lane: &[String],
) {
    let (plain, squares, steep) = sizes(&program.code.families[0]);
    let _ = writeln!(
        text,
        "\nSums over points: {plain} of c2 * node, {squares} of c1 * node * node, {steep} for the damping, and one each of the \
         loss, c1 and c2\n  with c2 = d loss / d prediction and c1 = d2 loss / d prediction2 of each point",
    );
    for (j, &parameter) in program.free.iter().enumerate() {
        let mut terms: Vec<String> = Vec::new();
        for (family, coefficient) in program.code.families.iter().zip(["c2", "c2 * m_v"]) {
            let entry = family.gradient[j];
            let sum = entry.sum.map_or_else(
                || format!("sum({coefficient})"),
                |sum| format!("sum({coefficient} * {})", value(family.reduction.nodes[sum])),
            );
            terms.extend(match entry.factor {
                _ if entry.zero => None,
                None => Some(sum),
                Some(factor) => Some(format!("{} * {sum}", lane[factor])),
            });
        }
        let slope = if terms.is_empty() { "0".to_owned() } else { terms.join(" + ") };
        line(text, &format!("d objective / d {} = {slope}", names.parameters[parameter]));
    }
}

/// Through which node derivatives are taken, and the sums that this makes.
fn write_chain<'a>(text: &mut String, program: &Program, chain: &Chain, node: &str, value: impl Fn(Src) -> &'a str) {
    let family = &program.code.families[1];
    let (plain, squares, steep) = sizes(family);
    let joined = chain.crosses.len() * family.reduction.outer;
    let _ = writeln!(
        text,
        "\nThrough v = {node}: {plain} of c2 * m_v * node, {squares} of (c1 * m_v^2 + c2 * m_vv) * node * node, {steep} for \
         the damping, {joined} that join v with other parameters\n  with m_v = d prediction / d v = {} and m_vv = d m_v / d v = {}",
        value(chain.slope),
        value(chain.bend),
    );
}

/// How many sums of `c2 · node`, of the other coefficient, and for the damping a family has.
fn sizes(family: &Family) -> (usize, usize, usize) {
    let Reduction { nodes, outer, singles, squares } = &family.reduction;
    let pairs = outer * (outer + 1) / 2;
    (nodes.len(), pairs + if *singles { *outer } else { 0 }, squares.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(text: &str, positive: &[&str]) -> String {
        let law = Expression::parse(text, &["N", "D"], &[]).unwrap();
        let log_scale: Vec<bool> = law.parameters().iter().map(|name| positive.contains(&name.as_str())).collect();
        explain(&law, &log_scale).unwrap()
    }

    #[test]
    fn chinchilla_takes_two_exponentials_and_no_logarithm_per_point() {
        let text = explained("E + A / N**alpha + B / D**beta", &["E", "A", "B"]);
        for part in [
            "  exp(log(E)) + exp(log(A') - alpha * (log(N) - mean(log(N)))) + exp(",
            "  log(A) = log(A') + mean(log(N)) * alpha\n",
            "  log(B) = log(B') + mean(log(D)) * beta\n",
            " = log(N) - mean(log(N))\n",
            "Once per problem and iteration, from parameters alone: 1 instruction (1 exp)\n  p0 = exp(log(E))\n",
            "(2 exp, ",
            "Sums over points: 6 of c2 * node, 14 of c1 * node * node, 0 for the damping",
            "  d objective / d log(E) = p0 * sum(c2)\n",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
        let points = text.split("For every point").nth(1).unwrap();
        assert!(!points.contains("log(N)") && !points.contains("mean"), "{text}");
    }

    #[test]
    fn every_name_in_use_is_defined() {
        for (law, positive) in [
            ("(E + A / N**(r / s))**k", vec!["E", "A"]),
            ("a + b * tanh(c * N) + where(N < D, a * N, 2 * b)", vec![]),
            ("A * N**r * D**s", vec!["A"]),
            ("m + 0 * N", vec![]),
            ("root(L, L - E - (A / (N * L))**r, E, 9) + sum_over(k, k.w * exp(-r * k.x * N))", vec!["E", "A"]),
        ] {
            let text = explained(law, &positive);
            let defined: Vec<&str> =
                text.lines().filter_map(|line| line.trim().split_once(" = ").map(|(n, _)| n)).collect();
            let is_name = |word: &&str| {
                word.len() > 1 && "xpt".contains(&word[..1]) && word[1..].bytes().all(|byte| byte.is_ascii_digit())
            };
            for word in text.split(|c: char| !c.is_alphanumeric()).filter(is_name) {
                assert!(defined.contains(&word), "{word} is not defined in\n{text}");
            }
        }
    }

    #[test]
    fn one_product_is_compared_by_its_exponent_in_log_space() {
        let text = explained("A * N**r", &["A"]);
        assert!(text.contains("needs only the exponent, log(A') + r * (log(N) - mean(log(N)))"), "{text}");
        assert!(!explained("E + A * N**r", &["A", "E"]).contains("only the exponent"));
    }

    #[test]
    fn roots_and_sums_show_what_runs_within_them() {
        let text =
            explained("root(L, L - E - A / (N * L), E, 9) + sum_over(k, k.w * exp(-r * k.x * N) * k.x)", &["E", "A"]);
        for part in [
            "root(L, L - exp(log(E)) - ",
            " + sum_over(k, ",
            " = the L from ",
            " is zero, t",
            "  once over the points of k, each of which is\n",
            " = the sum of ",
            "1 pass over an inner table",
            "1 root",
            "  x0 = N\n",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
    }

    #[test]
    fn what_a_body_captures_is_called_as_outside() {
        let text = explained("sum_over(k, where(k.x < a, 3, N) * where(k.w < b, 7, D))", &[]);
        for part in
            ["x0 = D\n", "x1 = N\n", " = k.x < a\n", "where(t0_0, 3, x1)\n", " = k.w < b\n", "where(t0_2, 7, x0)\n"]
        {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
    }

    #[test]
    fn one_flag_per_parameter_is_needed() {
        let law = Expression::parse("a * N", &["N"], &[]).unwrap();
        assert!(explain(&law, &[]).is_err());
    }
}
