//! Fitting: many problems of one law at once.
//!
//! * [`Objective`] says what is minimised, [`Constraints`] how the parameters may move, [`Batch`] which data each
//!   problem sees and where it starts; [`Batch::run`] does the work.
//! * `program` compiles a law and its `data` into a program for eight lanes, `kernel` runs it over the points, `head` is
//!   the objective in it, by `pieces` where a loss has some, and `reduction` its sums; `solver` moves the lanes, `lanes` holds their data, `worker` feeds
//!   them, `tall` serves one problem of very many rows, `run` puts all of it together.
//! * [`Batch::sigmas`] measures the residuals that widths of robust losses are taken from.
//! * [`explain`] says what is computed, and how often.

mod batch;
mod chain;
mod data;
mod explain;
mod head;
mod kernel;
mod lanes;
mod layout;
mod objective;
mod pieces;
mod program;
mod reduction;
mod run;
mod sigma;
mod solver;
mod status;
mod tall;
mod worker;

pub use batch::{Batch, Fits, MAX_ITERATIONS};
pub use explain::explain;
pub use objective::{Loss, Objective, Space};
pub use program::Constraints;
pub use sigma::Sigmas;
pub use status::Status;
