use super::*;
use crate::expr::evaluate_tape;

fn leaf(graph: &Graph) -> impl Fn(Id) -> bool + '_ {
    |id| matches!(graph.node(id), Node::Column(_) | Node::Param(_))
}

fn fused(graph: &Graph, outputs: &[Id]) -> Tape {
    Tape::build(graph, outputs, leaf(graph), true)
}

fn count(tape: &Tape, what: impl Fn(Op) -> bool) -> usize {
    tape.instrs.iter().filter(|instr| what(instr.op)).count()
}

#[test]
fn sums_of_products_are_fused_and_round_once() {
    let mut g = Graph::default();
    let (a, b, c) = (g.param(0), g.param(1), g.param(2));
    let ab = g.mul(a, b);
    let (add, sub, back) = (g.binary(Binary::Add, c, ab), g.binary(Binary::Sub, c, ab), g.binary(Binary::Sub, ab, c));
    // Chosen so that the product is not exact.
    let p = [1.0 + f64::EPSILON, 1.0 - f64::EPSILON, -1.0];
    for (root, exact) in
        [(add, p[0].mul_add(p[1], p[2])), (sub, (-p[0]).mul_add(p[1], p[2])), (back, p[0].mul_add(p[1], -p[2]))]
    {
        let tape = fused(&g, &[root]);
        assert_eq!(tape.instrs.len(), 1, "{:?}", tape.instrs);
        assert_eq!(evaluate_tape(&g, &tape, &[], &p, 1).unwrap()[0][0].to_bits(), exact.to_bits());
    }
    assert_ne!(p[0].mul_add(p[1], p[2]), p[0] * p[1] + p[2], "else the case shows nothing");
}

#[test]
fn a_product_with_two_users_is_computed_once() {
    let mut g = Graph::default();
    let (a, b, c) = (g.param(0), g.param(1), g.param(2));
    let ab = g.mul(a, b);
    let first = g.binary(Binary::Add, ab, c);
    let second = g.binary(Binary::Sub, ab, a);
    let tape = fused(&g, &[first, second]);
    assert_eq!(count(&tape, |op| matches!(op, Op::Binary(Binary::Mul, ..))), 1);
    assert_eq!(tape.instrs.len(), 3, "the last user may not fuse what has a register: {:?}", tape.instrs);
    let values = evaluate_tape(&g, &tape, &[], &[2.0, 3.0, 4.0], 1).unwrap();
    assert_eq!((values[0][0], values[1][0]), (10.0, 4.0));
}

#[test]
fn the_operand_of_a_fused_square_lives_as_long_as_it_is_used() {
    let mut g = Graph::default();
    let (x, a) = (g.column(0), g.param(0));
    let t = g.unary(Unary::Tanh, x);
    let square = g.unary(Unary::Square, t);
    let sum = g.binary(Binary::Add, square, a);
    let other = g.unary(Unary::Exp, sum);
    let last = g.binary(Binary::Div, other, t);
    let tape = fused(&g, &[sum, last]);
    assert_eq!(count(&tape, |op| matches!(op, Op::MulAdd(..))), 1);
    let values = evaluate_tape(&g, &tape, &[&[0.7]], &[0.2], 1).unwrap();
    let t = crate::simd::math::tanh(0.7);
    let sum = t.mul_add(t, 0.2);
    assert_eq!((values[0][0], values[1][0]), (sum, crate::simd::math::exp(sum) / t));
}

#[test]
fn no_instruction_writes_over_its_operands_and_registers_are_used_again() {
    let mut g = Graph::default();
    let (x, a) = (g.column(0), g.param(0));
    let mut id = x;
    for k in 0..40 {
        let scaled = g.binary(Binary::Mul, id, a);
        let root = g.unary(Unary::Tanh, scaled);
        id = if k % 3 == 0 { g.binary(Binary::Add, root, scaled) } else { root };
    }
    for fuse in [false, true] {
        let tape = Tape::build(&g, &[id], leaf(&g), fuse);
        for Instr { op, to } in &tape.instrs {
            let _ = op.map(|src| {
                assert_ne!(src, Src::Reg(*to));
                src
            });
        }
        assert!(tape.registers <= 4, "{} registers for a chain", tape.registers);
    }
}

#[test]
fn outputs_survive_to_the_end_and_may_be_inputs() {
    let mut g = Graph::default();
    let (x, a, two) = (g.column(0), g.param(0), g.constant(2.0));
    let early = g.binary(Binary::Mul, x, a);
    let late = g.unary(Unary::Exp, early);
    let tape = fused(&g, &[early, x, late, two, early]);
    let values = evaluate_tape(&g, &tape, &[&[3.0]], &[0.5], 1).unwrap();
    let values: Vec<f64> = values.into_iter().flatten().collect();
    assert_eq!(values, [1.5, 3.0, crate::simd::math::exp(1.5), 2.0, 1.5]);
}

#[test]
fn given_inputs_come_first_and_constants_after_them() {
    let mut g = Graph::default();
    let (x, a, three) = (g.column(0), g.param(0), g.constant(3.0));
    let scaled = g.binary(Binary::Mul, x, three);
    let root = g.binary(Binary::Sub, scaled, a);
    let unused = g.column(1);
    let tape = Tape::build_with(&g, &[root], &[a, unused, x], true);
    assert_eq!(tape.inputs, [a, unused, x, three]);
    assert_eq!(evaluate_tape(&g, &tape, &[&[2.0], &[0.0]], &[1.0], 1).unwrap()[0][0], 5.0);
}
