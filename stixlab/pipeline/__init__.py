"""Notebooks as pipelines: declared in one file, checked, executed, their results taken in whole or not at all."""
