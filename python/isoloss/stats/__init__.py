"""How sure: resampling, draws and their intervals, covariance, profiles, posteriors, noise, measured coverage."""
