"""One fit (`object`) and many (`many`): what users call, what they get back, and what is said of it in words."""
