//! Every way in which input can be wrong, with the names a user needs to mend it.

/// What was wrong with the input. A fit that does not converge is a [`crate::fit::Status`], never an error.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text of a law cannot be read; `position` counts characters from zero.
    #[error("{message} (at character {position})")]
    Syntax {
        /// What is wrong, and what was expected.
        message: String,
        /// Where, in characters from the start of the text.
        position: usize,
    },
    /// An array does not have the length that its partners have.
    #[error("{what} has {found} values where {expected} are needed")]
    Shape {
        /// The array.
        what: String,
        /// Its length.
        found: usize,
        /// The length asked for.
        expected: usize,
    },
    /// A value that no computation can use.
    #[error("{what} is {value} at index {index}: {reason}")]
    Value {
        /// The array.
        what: String,
        /// The value found.
        value: f64,
        /// Where in the array.
        index: usize,
        /// Why it cannot be used.
        reason: &'static str,
    },
    /// An option that contradicts another or does not exist.
    #[error("{0}")]
    Option(String),
    /// A result that memory does not hold.
    #[error("{0}")]
    Memory(String),
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// `rows × columns` zeros, or an error where that is more than memory holds.
pub(crate) fn zeros(what: &str, rows: usize, columns: usize) -> Result<Vec<f64>> {
    let refuse = || Error::Memory(format!("{what}: {rows} × {columns} numbers are more than memory holds"));
    let count = rows.checked_mul(columns).ok_or_else(refuse)?;
    Vec::<f64>::new().try_reserve_exact(count).map_err(|_| refuse())?;
    // Memory that the system hands out as zeros is touched by whoever writes to it, in workers that can be stopped;
    // filling gigabytes here would be deaf to interrupts for as long as it takes.
    Ok(vec![0.0; count])
}

/// `Result` with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
