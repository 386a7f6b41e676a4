"""Masks as the files of the archive have them."""

import numpy as np

from stixlab.products.pixel_masks import mask_columns
from stixlab.simulation.request_packets import pixel_packets, spectrogram_packets
from stixlab.simulation.requests import SUMMED_PIXELS
from tests.support.requests import VERSIONS, asked, leaving, level1, pixels, spectrogram


def columns(data, ssid):
    return mask_columns(level1(pixel_packets(asked(), data, leaving(), VERSIONS, ssid=ssid)))


def test_single_pixels_are_one_row():
    found = columns(pixels(2, 3, sets=(1, 2, 16), mask=0x7), 21)
    assert found["pixel_masks"].tolist() == [[1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]] * 2
    assert found["detector_masks"].shape == (2, 32)
    assert found["detector_masks"].sum() == 6
    assert found["num_pixel_sets"].tolist() == [3, 3]
    assert found["num_energy_groups"].tolist() == [3, 3]


def test_sums_of_pixels_are_a_row_each():
    found = columns(pixels(2, 3, sets=SUMMED_PIXELS), 22)
    assert found["pixel_masks"].shape == (2, 4, 12)
    assert np.flatnonzero(found["pixel_masks"][0, 0]).tolist() == [3, 7, 11]


def test_spectrograms_have_two_columns():
    found = mask_columns(level1(spectrogram_packets(asked(), spectrogram(), leaving(), VERSIONS)))
    assert {n: v.shape for n, v in found.items()} == {"detector_masks": (50, 32), "pixel_masks": (50, 12)}
