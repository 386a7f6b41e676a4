"""Facts about the instrument: detectors, trigger groups, energy channels. Numbers only, no data of a day."""
