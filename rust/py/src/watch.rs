//! Long calls: the GIL is released, signals are checked and progress is reported about every 50 ms.

use std::sync::Mutex;

use isoloss_core::job::Control;
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;

use crate::errors::Failure;

/// Runs `work` without the GIL. An exception raised by `progress` comes back unchanged, as does the one of a signal
/// handler; with `partial` a keyboard interrupt gives what was finished instead.
pub(crate) fn watched<T: Send>(
    py: Python<'_>,
    progress: Option<Py<PyAny>>,
    partial: bool,
    work: impl FnOnce(&Control<'_>) -> isoloss_core::Result<T> + Send,
) -> Result<T, Failure> {
    let raised: Mutex<Option<PyErr>> = Mutex::new(None);
    let result = py.detach(|| {
        let control = Control::watched(
            |done, total| {
                Python::attach(|py| {
                    let outcome = py.check_signals().and_then(|()| match &progress {
                        // True from the callback asks to stop, as an exception does.
                        Some(callback) => callback.call1(py, (done, total))?.is_truthy(py).map(|stop| !stop),
                        None => Ok(true),
                    });
                    outcome.unwrap_or_else(|error| {
                        if let Ok(mut slot) = raised.lock() {
                            *slot = Some(error);
                        }
                        false
                    })
                })
            },
            partial,
        );
        work(&control)
    });
    let error = raised.into_inner().unwrap_or_default();
    match error {
        Some(error) if !(partial && error.is_instance_of::<PyKeyboardInterrupt>(py)) => Err(error.into()),
        _ => Ok(result?),
    }
}
