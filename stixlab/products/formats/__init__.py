"""Forms of a product: Zarr for analysis, FITS for exchange. All are written from the declaration of the dataset."""
