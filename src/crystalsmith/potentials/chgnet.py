"""CHGNet's calculator for relaxation: the same numbers in some 60 % of the time.

CHGNet asks for forces and stress as in training: two passes backward, each of which prepares for another
derivative, with gradients of all weights at hand. A relaxation needs one pass for both and no weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator


def chgnet_calculator() -> Calculator:
    """CHGNet on the CPU with its own weights; energy (eV), forces (eV/Angstrom), stress (eV/Angstrom^3).

    A ``CHGNetCalculator`` but for what ``calculate`` leaves out unless it is asked for: magnetic moments and
    crystal features.

    Raises:
        ImportError: chgnet is not installed.
    """
    import torch
    from ase.calculators.calculator import Calculator, all_changes
    from chgnet.model.dynamics import CHGNetCalculator
    from chgnet.model.model import BatchedGraph
    from pymatgen.io.ase import AseAtomsAdaptor

    class FastCHGNetCalculator(CHGNetCalculator):
        def calculate(
            self,
            atoms: Any = None,
            properties: list[str] | None = None,
            system_changes: list[str] | None = None,
            task: Any = None,
        ) -> None:
            if task is not None or "magmoms" in (properties or ()):
                super().calculate(atoms, properties, system_changes, task or "efsm")
                return
            Calculator.calculate(self, atoms, properties or ["energy"], system_changes or all_changes)
            model = self.model
            graph = model.graph_converter(AseAtomsAdaptor.get_structure(atoms))
            batch = BatchedGraph.from_graphs(
                [graph],
                bond_basis_expansion=model.bond_basis_expansion,
                angle_basis_expansion=model.angle_basis_expansion,
                compute_stress=True,
            )
            found = model._compute(batch)["e"].sum()
            share = len(atoms) if model.is_intensive else 1
            positions, strain = batch.atom_positions[0], batch.strains[0]
            forces, stress = torch.autograd.grad(share * found, [positions, strain])
            with torch.no_grad():
                if model.composition_model is not None:
                    found = found + model.composition_model([graph]).sum()
                stress = stress / batch.volumes[0]
            energy = share * float(found)
            self.results = {
                "energy": energy,
                "free_energy": energy,
                "forces": -forces.numpy(),
                "stress": stress.numpy(),
            }

    calculator = FastCHGNetCalculator(use_device="cpu", on_isolated_atoms="ignore")
    calculator.model.eval()
    calculator.model.requires_grad_(False)
    return calculator
