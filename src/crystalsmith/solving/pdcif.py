"""pdCIF: a structure with the profile that it was fitted to, in one block that other programs read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crystalsmith.crystal.io.cif import crystal_to_cif

if TYPE_CHECKING:
    from crystalsmith.solving.answers import Answer
    from crystalsmith.solving.fitting import Observation
    from crystalsmith.solving.profile import Profile


def pdcif(answer: Answer, observation: Observation, profile: Profile) -> str:
    """The text of the file: structure, radiation, R factors, and the profile point by point.

    Args:
        answer: the structure.
        observation: the pattern.
        profile: what was calculated beside what was observed.
    """
    radiation = observation.pattern.radiation
    final = answer.final
    lines = [crystal_to_cif(answer.crystal).rstrip(), ""]
    lines += [
        "_exptl_method                       'powder diffraction'",
        f"_pd_block_id                        {answer.stem}|crystalsmith|{observation.hash}",
        f"_diffrn_radiation_type              '{radiation.name}'",
    ]
    if len(radiation.wavelengths) == 1:
        lines.append(f"_diffrn_radiation_wavelength        {radiation.wavelength:.6f}")
    else:
        lines += ["loop_"]
        lines += [f"_diffrn_radiation_wavelength{x}" for x in ("_id", "", "_wt")]
        weights = [w / radiation.weights[0] for w in radiation.weights]
        lines += [
            f"{k} {x:.6f} {w:.4f}"
            for k, (x, w) in enumerate(zip(radiation.wavelengths, weights, strict=True), start=1)
        ]
    if final is not None:
        lines += [
            f"_pd_proc_ls_prof_wR_factor          {final.rwp:.5f}",
            f"_pd_proc_ls_prof_R_factor           {final.rp:.5f}",
            f"_pd_proc_ls_prof_wR_expected        {final.rexp:.5f}",
            f"_refine_ls_goodness_of_fit_all      {final.gof:.4f}",
        ]
        if final.r_bragg is not None:
            lines.append(f"_refine_ls_R_I_factor               {final.r_bragg:.5f}")
    x = profile.two_theta
    lines += [
        f"_pd_meas_2theta_range_min           {x[0]:.5f}",
        f"_pd_meas_2theta_range_max           {x[-1]:.5f}",
        f"_pd_meas_2theta_range_inc           {float(np.median(np.diff(x))):.5f}",
        f"_pd_meas_number_of_points           {len(x)}",
        "",
        "loop_",
        "_pd_proc_point_id",
        "_pd_proc_2theta_corrected",
        "_pd_proc_intensity_total",
        "_pd_calc_intensity_total",
        "_pd_proc_intensity_bkg_calc",
        "_pd_proc_ls_weight",
    ]
    lines += [
        f"{k} {a:.5f} {o:.6g} {c:.6g} {b:.6g} {1 / s**2:.6g}"
        for k, (a, o, c, b, s) in enumerate(
            zip(x, profile.observed, profile.calculated, profile.background, profile.sigma, strict=True),
            start=1,
        )
    ]
    return "\n".join(lines) + "\n"
