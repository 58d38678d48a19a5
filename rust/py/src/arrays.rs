//! NumPy in: borrowed where it lies aligned and in C order, else copied by NumPy, so that no user hears of layout.
//!
//! rust-numpy's own ways around a dense slice are not right for every array that Python can hand over. `as_slice` gives
//! a Fortran-ordered matrix in the order of memory, that is transposed; `as_array` reads through references that need
//! not be aligned, and rounds a stride to whole elements, while a field of packed records has neither property.
//! Numbers in the other byte order never come here: the signatures ask for a native dtype, and others are refused.

use std::borrow::Cow;

use numpy::ndarray::Dimension;
use numpy::{
    Element, PyArray, PyArrayMethods, PyReadonlyArray, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods,
};
use pyo3::prelude::*;

use crate::errors::{Failure, option};

/// The elements of an array of any shape and layout, in C order.
pub(crate) fn dense<'a, T: Element + Copy, D: Dimension>(
    array: &'a PyReadonlyArray<'_, T, D>,
) -> Result<Cow<'a, [T]>, Failure> {
    if array.is_c_contiguous()
        && let Ok(slice) = array.as_slice()
    {
        return Ok(Cow::Borrowed(slice));
    }
    let copy = array.call_method0("copy")?; // C order, aligned, whatever the original
    let copy = copy.cast::<PyArray<T, D>>().map_err(PyErr::from)?;
    Ok(Cow::Owned(copy.to_vec().map_err(PyErr::from)?))
}

/// The columns of a data set.
pub(crate) fn slices<'a>(arrays: &'a [PyReadonlyArray1<'_, f64>]) -> Result<Vec<Cow<'a, [f64]>>, Failure> {
    arrays.iter().map(dense).collect()
}

/// The two columns of a matrix, row by row.
pub(crate) fn pairs(name: &str, array: &PyReadonlyArray2<'_, f64>) -> Result<Vec<(f64, f64)>, Failure> {
    let width = array.shape()[1];
    if width != 2 {
        return Err(option(format!("{name} has {width} columns where it needs 2")));
    }
    Ok(dense(array)?.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
}

/// Indices, none of which may be negative.
pub(crate) fn indices(name: &str, array: &PyReadonlyArray1<'_, i64>) -> Result<Vec<usize>, Failure> {
    dense(array)?
        .iter()
        .enumerate()
        .map(|(at, &value)| {
            usize::try_from(value).map_err(|_| option(format!("{name} is {value} at index {at}: it counts from zero")))
        })
        .collect()
}
