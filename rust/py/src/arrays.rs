//! NumPy in: contiguous where it is, copied where it is not, so that no user ever hears of contiguity.

use std::borrow::Cow;

use numpy::{PyReadonlyArray1, PyReadonlyArrayDyn};

use crate::errors::{Failure, option};

/// The numbers of an array of any shape, in C order.
pub(crate) fn floats<'a>(array: &'a PyReadonlyArrayDyn<'_, f64>) -> Cow<'a, [f64]> {
    match array.as_slice() {
        Ok(slice) => Cow::Borrowed(slice),
        Err(_) => Cow::Owned(array.as_array().iter().copied().collect()),
    }
}

/// The columns of a data set.
pub(crate) fn slices<'a>(arrays: &'a [PyReadonlyArray1<'_, f64>]) -> Vec<Cow<'a, [f64]>> {
    arrays
        .iter()
        .map(|array| match array.as_slice() {
            Ok(slice) => Cow::Borrowed(slice),
            Err(_) => Cow::Owned(array.as_array().iter().copied().collect()),
        })
        .collect()
}

/// Indices, none of which may be negative.
pub(crate) fn indices(name: &str, array: &PyReadonlyArray1<'_, i64>) -> Result<Vec<usize>, Failure> {
    array
        .as_array()
        .iter()
        .enumerate()
        .map(|(at, &value)| {
            usize::try_from(value).map_err(|_| option(format!("{name} is {value} at index {at}: it counts from zero")))
        })
        .collect()
}
