import numpy as np

from stixlab.instrument.detectors import TRIGGER_GROUPS, active_trigger_groups, mask_bits, mask_word


def test_every_detector_has_one_trigger_group():
    """32 detectors share 16 accumulators, two by two."""
    assert sorted(d for group in TRIGGER_GROUPS for d in group) == list(range(1, 33))


def test_groups_count_if_one_detector_of_the_pair_is_in_use():
    masks = np.array([0, 0xFFFF_FFFF, 0b11, 0b01, 1 << 8 | 1 << 7, 1 << 9 | 1 << 15], dtype=np.uint32)
    assert active_trigger_groups(masks).tolist() == [0, 16, 1, 1, 1, 1]


def test_masks_come_back_from_their_bits():
    words = np.array([0, 1, 0x1_0800_1082, (1 << 33) - 1], dtype=np.uint64)
    bits = mask_bits(words, 33)
    assert bits.shape == (4, 33)
    assert bits[1, 0] == 1
    assert (mask_word(bits) == words).all()
