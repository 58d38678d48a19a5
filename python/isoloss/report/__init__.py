"""What is handed to others: self-contained pages, the reporting checklist, and whether a saved fit repeats.

`page` holds what every page is made of; `fits` and `hparams` are the pages, `checklist` and `reproduce` what reviewers
and colleagues ask for.
"""
