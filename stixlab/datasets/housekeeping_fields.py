"""Variables of the housekeeping reports: names, units, states. Data only; datasets are built in `housekeeping`."""

from __future__ import annotations

from stixlab.datasets.construction import state_field
from stixlab.vocabulary import Field

__all__ = ["MAXI_FIELDS", "MINI_FIELDS"]

# Source of parameters, widths, units and texts: flight database 2.26.34 (2.26.35 has the same), tables PLF, PCF, TXP.
_NO_YES = {0: "false", 1: "true"}
_OFF_ON = {0: "off", 1: "on"}
_DISABLED_ENABLED = {0: "disabled", 1: "enabled"}
_STILL_MOVING = {0: "still", 1: "moving"}
_NOMINAL_REDUNDANT = {0: "nominal", 1: "redundant"}
_MODES = {0: "likely_boot", 1: "boot", 2: "safe", 3: "maintenance", 4: "configuration", 5: "nominal"}
_SOFTWARE = {0: "application", 1: "start_up"}
_REGULATORS = {0: "1_off_2_off", 1: "1_on_2_off", 2: "1_off_2_on", 3: "1_on_2_on"}
_OVERRUNS = {
    0: "no_overrun",
    9: "task1_hk_monitor",
    10: "task1_memory_load",
    11: "task1_memory_dump",
    12: "task1_memory_check",
    13: "task1_edac_control",
    14: "task1_hw_selftest",
    15: "task1_debug",
    17: "task2_watchdog_refresh",
    18: "task2_hk_report",
    19: "task2_start_asw",
    20: "task2_tc_buffer",
    21: "task2_edac_control",
    22: "task2_hw_selftest",
    23: "task2_debug",
    25: "task3_tm_buffer",
    26: "task3_edac_control",
    27: "task3_hw_selftest",
    28: "task3_debug",
    33: "task4_tc_buffer",
    34: "task4_tm_buffer",
    35: "task4_timing",
    36: "task4_edac_control",
    37: "task4_hw_selftest",
    38: "task4_debug",
}

_Rows = tuple[tuple[str, str, str, str, str], ...]


def _physical(rows: _Rows) -> tuple[Field, ...]:
    return tuple(
        Field(name, ("time",), "float32", units, text, source_parameter=source, fits_name=column)
        for name, source, units, text, column in rows
    )


def _number(name: str, source: str, dtype: str, text: str, column: str) -> Field:
    return Field(name, ("time",), dtype, "1", text, source_parameter=source, fits_name=column)


_BEGIN = (
    state_field("software_running", "NIXD0021", _SOFTWARE, "software that runs", "sw_running"),
    _number("instrument_number", "NIXD0022", "uint8", "number of the instrument", "instrument_number"),
    state_field("instrument_mode", "NIXD0023", _MODES, "mode of the instrument", "instrument_mode"),
    *_physical(
        (
            (
                "temperature_dpu_board",
                "NIXD0025",
                "deg_C",
                "temperature of the processing unit's board",
                "hk_dpu_pcb_t",
            ),
            (
                "temperature_dpu_fpga",
                "NIXD0026",
                "deg_C",
                "temperature of the processing unit's FPGA",
                "hk_dpu_fpga_t",
            ),
            ("current_dpu_3v3", "NIXD0027", "mA", "current of the 3.3 V supply", "hk_dpu_3v3_c"),
            ("current_dpu_2v5", "NIXD0028", "mA", "current of the 2.5 V supply", "hk_dpu_2v5_c"),
            ("current_dpu_1v5", "NIXD0029", "mA", "current of the 1.5 V supply", "hk_dpu_1v5_c"),
            ("current_spacewire", "NIXD0030", "mA", "current of the SpaceWire drivers", "hk_dpu_spw_c"),
            ("voltage_spacewire_0", "NIXD0031", "V", "voltage of SpaceWire driver 0", "hk_dpu_spw0_v"),
            ("voltage_spacewire_1", "NIXD0032", "V", "voltage of SpaceWire driver 1", "hk_dpu_spw1_v"),
        )
    ),
)
_SUPPLIES = _physical(
    (
        ("voltage_dpu_1v5", "NIXD0035", "V", "voltage of the 1.5 V supply", "hk_dpu_1v5_v"),
        ("voltage_reference_2v5", "NIXD0036", "V", "voltage of the 2.5 V reference", "hk_ref_2v5_v"),
        ("voltage_dpu_2v9", "NIXD0037", "V", "voltage of the 2.9 V supply", "hk_dpu_2v9_v"),
        ("temperature_power_supply", "NIXD0024", "deg_C", "temperature of the power supply", "hk_psu_temp_t"),
    )
)
_SOFTWARE_STATUS = (
    _number("software_version", "NIXD0001", "uint8", "version of the flight software", "sw_version_number"),
    Field(
        "cpu_load",
        ("time",),
        "float32",
        "percent",
        "processor load",
        source_parameter="NIXD0002",
        fits_name="cpu_load",
    ),
    state_field(
        "autonomous_boot",
        "NIXD0166",
        _NO_YES,
        "application software boots by itself",
        "autonomous_asw_boot_stat",
    ),
    state_field("memory_load_enabled", "NIXD0167", _NO_YES, "memory load is enabled", "memory_load_ena_flag"),
    Field(
        "archive_memory_usage",
        ("time",),
        "float32",
        "percent",
        "archive memory in use",
        source_parameter="NIXD0003",
        fits_name="archive_memory_usage",
    ),
    state_field(
        "processing_unit", "NIXD0004", _NOMINAL_REDUNDANT, "processing unit in use", "idpu_identifier"
    ),
    state_field("spacewire_link", "NIXD0005", _NOMINAL_REDUNDANT, "SpaceWire link in use", "active_spw_link"),
    state_field("watchdog", "NIXD0169", _OFF_ON, "watchdog", "watchdog_state"),
    state_field("task_overrun", "NIXD0168", _OVERRUNS, "task that overran its time", "overruns_for_tasks"),
    _number(
        "spacewire_packets_received",
        "NIXD0079",
        "uint16",
        "SpaceWire packets received",
        "received_spw_packets",
    ),
    _number(
        "spacewire_packets_rejected",
        "NIXD0078",
        "uint16",
        "SpaceWire packets rejected",
        "rejected_spw_packets",
    ),
)
_FDIR = _number(
    "fdir_function_status",
    "NIX00085",
    "uint32",
    "functions of fault detection, bit by bit",
    "fdir_function_status",
)

MINI_FIELDS: tuple[Field, ...] = (
    *_BEGIN,
    *_SOFTWARE_STATUS,
    *_SUPPLIES,
    _FDIR,
    _number(
        "fdir_temperature_mask",
        "NIX00161",
        "uint16",
        "temperature channels at fault, bit by bit",
        "fdir_stat_msk_hk_temp_ch",
    ),
    _number(
        "fdir_voltage_mask",
        "NIX00162",
        "uint16",
        "voltage channels at fault, bit by bit",
        "fdir_stat_msk_hk_volt_ch",
    ),
    state_field(
        "housekeeping_selftest", "NIXD0163", _NO_YES, "housekeeping self-test runs", "hkselftest_is_exec_stat"
    ),
    state_field("memory_service", "NIXD0164", _NO_YES, "memory service runs", "memory_ser_exec_stat_fla"),
    _number(
        "fdir_current_mask",
        "NIXD0165",
        "uint8",
        "current channels at fault, bit by bit",
        "fdir_stat_msk_hk_curr_ch",
    ),
    _number(
        "telecommands_executed",
        "NIX00166",
        "uint16",
        "telecommand packets executed",
        "number_of_executed_tc_pa",
    ),
    _number("telemetry_sent", "NIX00167", "uint16", "telemetry packets sent", "number_of_sent_tm_packet"),
    _number(
        "telemetry_failed", "NIX00168", "uint16", "telemetry packets that failed", "number_of_failed_tm_gene"
    ),
)
"""Variables of the short report, in the order of the packet."""

MAXI_FIELDS: tuple[Field, ...] = (
    *_BEGIN,
    *_physical(
        (
            (
                "voltage_aspect_reference_a",
                "NIXD0038",
                "V",
                "2.5 V reference A of the aspect system",
                "hk_asp_ref_2v5a_v",
            ),
            (
                "voltage_aspect_reference_b",
                "NIXD0039",
                "V",
                "2.5 V reference B of the aspect system",
                "hk_asp_ref_2v5b_v",
            ),
            *(
                (
                    f"temperature_aspect_{n}",
                    f"NIXD00{39 + n}",
                    "deg_C",
                    f"temperature sensor {n} of the aspect system",
                    f"hk_asp_tim0{n}_t",
                )
                for n in range(1, 9)
            ),
            ("voltage_aspect_sensor_a", "NIXD0048", "V", "voltage of aspect sensor A", "hk_asp_vsensa_v"),
            ("voltage_aspect_sensor_b", "NIXD0049", "V", "voltage of aspect sensor B", "hk_asp_vsensb_v"),
            ("voltage_attenuator", "NIXD0050", "V", "voltage of the attenuator", "hk_att_v"),
            ("temperature_attenuator", "NIXD0051", "deg_C", "temperature of the attenuator", "hk_att_t"),
            (
                "high_voltage_detectors_1_16",
                "NIXD0052",
                "V",
                "high voltage of detectors 1 to 16",
                "hk_hv_01_16_v",
            ),
            (
                "high_voltage_detectors_17_32",
                "NIXD0053",
                "V",
                "high voltage of detectors 17 to 32",
                "hk_hv_17_32_v",
            ),
            *(
                (
                    f"temperature_detector_q{n}",
                    f"NIXD00{53 + n}",
                    "deg_C",
                    f"temperature of detector quarter {n}",
                    f"det_q{n}_t",
                )
                for n in range(1, 5)
            ),
        )
    ),
    *_SUPPLIES,
    *_SOFTWARE_STATUS,
    _number(
        "detectors_enabled", "NIXD0070", "uint32", "detectors enabled, bit by bit", "en/dis_detector_status"
    ),
    state_field("power_spacewire_1", "NIXD0080", _OFF_ON, "power of SpaceWire 1", "spw1-power_status"),
    state_field("power_spacewire_0", "NIXD0081", _OFF_ON, "power of SpaceWire 0", "spw0-power_status"),
    *(
        state_field(
            f"power_quarter_{n}",
            f"NIXD00{86 - n}",
            _OFF_ON,
            f"power of detector quarter {n}",
            f"q{n}-power_status",
        )
        for n in (4, 3, 2, 1)
    ),
    state_field("power_aspect_b", "NIXD0086", _OFF_ON, "power of aspect system B", "aspect_b-power_status"),
    state_field("power_aspect_a", "NIXD0087", _OFF_ON, "power of aspect system A", "aspect_a-power_status"),
    state_field("attenuator_motor_2", "NIXD0088", _STILL_MOVING, "attenuator motor 2", "att_m2-moving"),
    state_field("attenuator_motor_1", "NIXD0089", _STILL_MOVING, "attenuator motor 1", "att_m1-moving"),
    state_field(
        "high_voltage_17_32",
        "NIXD0090",
        _DISABLED_ENABLED,
        "high voltage of detectors 17 to 32",
        "hv17-32-enabled_status",
    ),
    state_field(
        "high_voltage_1_16",
        "NIXD0091",
        _DISABLED_ENABLED,
        "high voltage of detectors 1 to 16",
        "hv01-16-enabled_status",
    ),
    state_field(
        "low_voltage", "NIXD0092", _DISABLED_ENABLED, "low voltage of the detectors", "lv-enabled_status"
    ),
    state_field(
        "depolarisation_1", "NIXD0066", _NO_YES, "high voltage 1 is depolarised", "hv1_depolar_in_progress"
    ),
    state_field(
        "depolarisation_2", "NIXD0067", _NO_YES, "high voltage 2 is depolarised", "hv2_depolar_in_progress"
    ),
    state_field("attenuator_flag_open", "NIXD0068", _NO_YES, "attenuator reports: open", "att_ab_flag-open"),
    state_field(
        "attenuator_flag_closed", "NIXD0069", _NO_YES, "attenuator reports: closed", "att_bc_flag-closed"
    ),
    _number(
        "triggers_median", "NIX00072", "uint32", "median of the trigger accumulators", "med_value_of_trig_acc"
    ),
    _number(
        "triggers_maximum",
        "NIX00073",
        "uint32",
        "largest of the trigger accumulators",
        "max_value_of_trig_acc",
    ),
    state_field(
        "high_voltage_regulators", "NIXD0074", _REGULATORS, "high voltage regulators", "hv_regulators_mask"
    ),
    _number(
        "heartbeat_sequence_count", "NIXD0077", "uint16", "sequence count of TC(20,128)", "tc(20,128)_seq_cnt"
    ),
    _number("attenuator_motions", "NIX00076", "uint16", "motions of the attenuator", "attenuator_motions"),
    *_physical(
        tuple(
            (
                f"voltage_photodiode_{d}",
                f"NIX000{78 + i}",
                "V",
                f"voltage of photodiode {d.upper()} of the aspect system",
                f"hk_asp_photo{d}_v",
            )
            for i, d in enumerate(("a0", "a1", "b0", "b1"))
        )
    ),
    _number(
        "attenuator_currents", "NIX00094", "uint16", "currents of the attenuator, raw", "attenuator_currents"
    ),
    *_physical(
        (
            ("current_attenuator", "NIXD0075", "mA", "current of the attenuator", "hk_att_c"),
            ("current_detectors", "NIXD0058", "mA", "current of the detectors", "hk_det_c"),
        )
    ),
    _FDIR,
)
"""Variables of the long report, in the order of the packet."""
