//! Errors of the core as Python exceptions.

use isoloss_core::Error;
use pyo3::exceptions::{PyKeyboardInterrupt, PyMemoryError, PyValueError};
use pyo3::prelude::*;

pyo3::create_exception!(
    isoloss._core,
    ExpressionError,
    PyValueError,
    "Malformed expression; `args` is (message, position of the character)."
);

/// Whatever goes wrong in a call, on its way to Python. Lets binding code be `?` only.
pub(crate) struct Failure(PyErr);

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Self {
        Self(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(match error {
            Error::Syntax { message, position } => ExpressionError::new_err((message, position)),
            Error::Memory(message) => PyMemoryError::new_err(message),
            Error::Interrupted => PyKeyboardInterrupt::new_err(()),
            other => PyValueError::new_err(other.to_string()),
        })
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        failure.0
    }
}

/// A `ValueError` about an argument.
pub(crate) fn option(message: impl Into<String>) -> Failure {
    Failure(PyValueError::new_err(message.into()))
}
