"""Functions that build small networks of snnTorch, Norse and sinabs.

They import the framework when they are called, so that this module needs none.
"""

from collections.abc import Callable
from typing import Any

TIMESTEPS = 12


def _loop(*parts: Any, skip: Any = None) -> Any:
    """Return a module that runs parts in a loop over time; ``skip`` leads to the last part."""
    import torch
    from torch import nn

    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = nn.ModuleList(parts)
            self.skip = skip

        def forward(self, frames: Any) -> Any:
            spikes = []
            for frame in frames:
                z = frame
                for k, part in enumerate(self.parts):
                    if self.skip is not None and k == len(self.parts) - 1:
                        z = z + self.skip(frame)
                    z = part(z)
                spikes.append(z)
            return torch.stack(spikes)

    return Loop()


def _snn(kind: str, **options: Any) -> Any:
    import snntorch

    return getattr(snntorch, kind)(init_hidden=True, **options)


def snntorch_dense(kind: str, skip: bool = False, **options: Any) -> Callable[[], Any]:
    def build() -> Any:
        from torch import nn

        layers = [_snn(kind, **options) for _ in range(2)]
        across = nn.Linear(12, 5) if skip else None
        return _loop(nn.Linear(12, 10), layers[0], nn.Linear(10, 5), layers[1], skip=across)

    return build


def snntorch_at_once() -> Any:
    """Return layers whose input is at most the threshold, so that no potential is above twice it.

    With a potential of at most 1 and an input of at most 1, what a reset leaves is at most 1.
    """
    import torch
    from torch import nn

    parts = []
    for sources, targets in ((12, 10), (10, 5)):
        linear = nn.Linear(sources, targets, bias=False)
        linear.weight.data = torch.rand(targets, sources) / sources / 2.5  # module() multiplies it
        parts += [linear, _snn("Leaky", beta=1.0, reset_delay=False)]
    return nn.Sequential(*parts)


def snntorch_recurrent(kind: str, **options: Any) -> Callable[[], Any]:
    def build() -> Any:
        from torch import nn

        first = _snn(kind, linear_features=10, **options)
        second = _snn(kind, all_to_all=False, V=0.5, **options)
        return _loop(nn.Linear(12, 10), first, nn.Linear(10, 5), second)

    return build


def snntorch_learnt() -> Any:
    import torch
    from torch import nn

    values = {"learn_beta": True, "learn_threshold": True}
    first = _snn(
        "Leaky", beta=0.65 + 0.3 * torch.rand(10), threshold=0.5 + torch.rand(10), **values
    )
    second = _snn("Leaky", beta=torch.tensor(0.8), threshold=torch.tensor(0.7), **values)
    return nn.Sequential(nn.Linear(12, 10), first, nn.Linear(10, 5), second)


def snntorch_conv() -> Any:
    from torch import nn

    norm = nn.BatchNorm2d(4)
    norm.running_mean.normal_(0, 0.1)
    norm.running_var.uniform_(0.1, 0.5)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), norm, _snn("Leaky", beta=0.75),
        nn.AvgPool2d(2), nn.Conv2d(4, 4, 3, padding=1), nn.Dropout(0.5), _snn("Leaky", beta=0.5),
        nn.Flatten(), nn.Linear(36, 5), _snn("Leaky", beta=0.9, reset_mechanism="zero"),
    )  # fmt: skip


def norse_box() -> Any:
    import norse.torch as norse
    import torch
    from norse.torch.functional.reset import reset_subtract
    from torch import nn

    fast = norse.LIFBoxParameters(tau_mem_inv=torch.tensor(400.0))
    leaky = norse.LIFBoxParameters(
        tau_mem_inv=torch.tensor(250.0), v_th=torch.tensor(0.2), reset_method=reset_subtract
    )
    first, last = nn.Conv2d(2, 4, 3), nn.Linear(16, 5)
    for layer in (first, last):  # so that both layers fire
        layer.weight.data = layer.weight.data.abs() * 3 - 0.2
    return norse.SequentialState(
        first, norse.LIFBoxCell(fast), nn.AvgPool2d(2), nn.Flatten(), last,
        norse.LIFBoxCell(leaky),
    )  # fmt: skip


def norse_current() -> Any:
    import norse.torch as norse
    import torch
    from torch import nn

    p = norse.LIFParameters(tau_mem_inv=torch.tensor(300.0), tau_syn_inv=torch.tensor(250.0))
    return norse.SequentialState(
        norse.LIFRecurrentCell(12, 10, p=p), nn.Linear(10, 5), norse.LIFCell(p)
    )


def norse_readout(kind: str) -> Callable[[], Any]:
    def build() -> Any:
        import norse.torch as norse
        import torch
        from norse.torch.module.leaky_integrator_box import LIBoxCell
        from torch import nn

        slow, fast = torch.tensor(120.0), torch.tensor(250.0)
        p = norse.LIFBoxParameters(tau_mem_inv=torch.tensor(300.0), v_th=torch.tensor(0.3))
        current = norse.LIParameters(tau_mem_inv=slow, tau_syn_inv=fast)
        if kind == "LI":
            values = norse.LIFParameters(tau_mem_inv=torch.tensor(300.0), tau_syn_inv=fast)
            return norse.SequentialState(
                nn.Linear(12, 10), norse.LIF(values), nn.Linear(10, 5), norse.LI(current)
            )
        last = {
            "LIBoxCell": lambda: (
                nn.Linear(10, 5), LIBoxCell(norse.LIBoxParameters(tau_mem_inv=slow)),
            ),
            "LICell": lambda: (nn.Linear(10, 5), norse.LICell(current)),
            "LILinearCell": lambda: (norse.LILinearCell(10, 5, current),),
        }[kind]()  # fmt: skip
        return norse.SequentialState(nn.Linear(12, 10), norse.LIFBoxCell(p), *last)

    return build


def norse_sequence() -> Any:
    import norse.torch as norse
    import torch
    from torch import nn

    p = norse.LIFParameters(tau_mem_inv=torch.tensor(300.0), tau_syn_inv=torch.tensor(250.0))
    return norse.SequentialState(
        norse.Lift(nn.Conv2d(2, 4, 3)), norse.LIF(p), nn.Flatten(2), nn.Linear(64, 5), norse.IAF(),
    )  # fmt: skip


def sinabs_dense() -> Any:
    from sinabs import layers
    from sinabs.activation import MembraneReset, SingleSpike
    from torch import nn

    return nn.Sequential(
        nn.Linear(12, 10),
        layers.LIFRecurrent(
            tau_mem=5.0, rec_connect=nn.Linear(10, 10, bias=False), spike_fn=SingleSpike,
            reset_fn=MembraneReset(), norm_input=False,
        ),
        nn.Linear(10, 5),
        layers.LIF(tau_mem=4.0, tau_syn=3.0, spike_fn=SingleSpike),
    )  # fmt: skip


def sinabs_conv() -> Any:
    from sinabs import layers
    from sinabs.activation import SingleSpike
    from torch import nn

    def neurons() -> Any:
        return layers.IAFSqueeze(num_timesteps=TIMESTEPS, spike_fn=SingleSpike)

    return nn.Sequential(
        nn.Conv2d(2, 4, 3),
        neurons(),
        layers.SumPool2d(2),
        nn.Flatten(),
        nn.Linear(16, 5),
        neurons(),
    )


def sinabs_readout() -> Any:
    from sinabs import layers
    from sinabs.activation import SingleSpike
    from torch import nn

    return nn.Sequential(
        nn.Linear(12, 10),
        layers.LIF(tau_mem=5.0, spike_fn=SingleSpike, norm_input=False),
        nn.Linear(10, 5),
        layers.ExpLeak(tau_mem=8.0, norm_input=True),
    )


def snntorch_readout(kind: str, **options: Any) -> Callable[[], Any]:
    def build() -> Any:
        from torch import nn

        first = _snn("Leaky", beta=0.9)
        last = _snn(kind, reset_mechanism="none", threshold=1e9, output=True, **options)
        return nn.Sequential(nn.Linear(12, 10), first, nn.Linear(10, 5), last)

    return build
