"""Memory layout: which arrays kernels read and write, and what each column and code stands for.

A kernel receives one array, the *context*, which holds the addresses and sizes of all others.
Numba spends about 60 ns on unpacking each array argument of a call. A forward step is so short
that twenty array arguments would cost more than the arithmetic on eight spikes.
:mod:`neuroasync.core.kernels.array_views` makes arrays from the addresses.

Letters in shapes: N neurons, P populations, C connections, B blocks of 16 neurons, D spikes in
flight, H remembered passes, K pending spikes, R logged spikes, S logged deliveries, L logged turns,
T passes of a training sample.

The packed network (:mod:`.network`) is shared by all its sessions and never written:

=============== =================== ==========================================================
array           type                contents
=============== =================== ==========================================================
populations     i64[P + 1, 26]      a row per population, see ``Populations``; the last: the input
connections     i64[C, 18]          a row per connection in declared order, see ``Connections``
links           i32[..]             connections that leave each population; CSR of sparse ones
weights         f32[..]             weights of all connections (dense: source-major), and biases
thresholds      f32[N]              threshold of each neuron
factors         f32[N] or f32[0]    decay over a timestep, if it differs within a population
taus            f64[P] or f64[P+N]  time constants in µs: of populations, then of neurons if they
                                    differ within a population
uniform         f32[P, 2]           a row per population, see ``Uniform``
dynamics        f64[6, N] or [6, 0] parameters of features that few neurons have, see ``Dynamics``
owners          i32[N / 64]         population of the first of each 64 neurons
=============== =================== ==========================================================

Unless the packed network is contiguous, the CSR and the weights of sparse connections, and the
weights of convolutions, stay in the memory of the model. Their offsets in ``Connections``, which
count elements from the start of ``links`` or ``weights``, then lead out of these arrays. Kernels
therefore compute addresses, and do not index the arrays.

The state of a session (:mod:`.session`) lies in one block of memory, except ``in_flight``:

=============== =================== ==========================================================
array           type                contents
=============== =================== ==========================================================
control         i64[55]             counters of the sample and position in it, see ``Control``
votes           i64[5, classes]     a column per class, see ``Votes``
spikes          i64[P]              spikes of each population in the sample
v, momentum     f32[N]              membrane potential; its value at the latest spike
last_group      i32[N]              mark of the group that reached the neuron last, plus flags
clocks          i64[B]              number of the pass up to which the block has decayed
received        i32[N] or i32[0]    spikes received in the pass, for sync thresholds
multiplicity    i32[N] or i32[0]    how many times the neuron fired since its last delivery
suprathreshold  i64[N] or i64[0]    neurons that may exceed their threshold without any input
extra_state     f32[3, N] or none   variables that few neurons have, see ``ExtraState``
readout         f32[classes], none  potentials of an output of leaky integrators at the end
ring            i64[H], f32[H, P]   intervals before the latest passes, and their decay factors
in_flight       i64[5, D]           spikes on delayed connections, see ``InFlight``
=============== =================== ==========================================================

Scratch buffers (:mod:`.scratch`) belong to a session only while one of its passes is under way:

=============== =================== ==========================================================
array           type                contents
=============== =================== ==========================================================
current         f32[N]              synaptic input of the group; 0 between steps (layer-sync: turns)
touched         i64[N]              neurons that the group reaches, at their population's offset
fired           i64[N + 4]          neurons that fire in this step, at their population's offset
counts          i64[4, P]           a column per population, see ``StepCounts``
pending         i32[3, K]           a column per pending spike, see ``Pending``
group           i64[5, K]           a column per slot of the group, see ``Group``
order_keys      u64[K]              sort key of each pending spike
chosen          i64[K]              positions of the pending spikes that were selected; then the
                                    origins of the group, by population
ordered         i32[K]              the same memory: few pending spikes in the order of the policy
input_bits      u64[..]             a bit per input: whether it has an event in this pass
input_ranks     i64[..]             per word of ``input_bits``: number of slots before its inputs
spike_log       i64[5, R]           a column per spike, see ``SpikeLog``
spike_momentum  f32[R]              momentum of each logged spike
delivery_log    i64[6, S]           a column per delivered spike event, see ``DeliveryLog``
peaks           f32[T, N]           training: highest potential at which the neuron stayed silent
peak_steps      i32[T, N]           training: forward step of the peak; -1: none, -2: it fired
turn_log        i64[4, L]           training: a column per turn under layer-sync, see ``TurnLog``
turn_potentials f32[..]             training: potentials that were compared with the thresholds at
                                    each turn; -inf where too few spikes had been received
=============== =================== ==========================================================

A *mark* is ``GROUP_UNIT`` times the number of a group of the session. The two lowest bits of an
entry of ``last_group`` are flags: ``REFRACTORY_BIT`` and ``SUPRATHRESHOLD_BIT``. Comparing an
entry with the marks at which the pass and the sample began tells whether its flags still hold, so
that starting a pass or a sample does not need to visit every neuron.
"""

from neuroasync.core.kernels.layout.codes import (
    ConnectionKind,
    Interrupt,
    Phase,
    PolicyCode,
    ReadStage,
    RuleCode,
    Selected,
)
from neuroasync.core.kernels.layout.context import Context
from neuroasync.core.kernels.layout.network import (
    BLOCK,
    OWNER_BLOCK,
    ROWS_AHEAD,
    SLOTS_AHEAD,
    Connections,
    Dynamics,
    Populations,
    Uniform,
)
from neuroasync.core.kernels.layout.scratch import (
    FIRED_AT_ONCE,
    DeliveryLog,
    Group,
    Pending,
    SpikeLog,
    StepCounts,
    TurnLog,
)
from neuroasync.core.kernels.layout.session import (
    AFTER_SILENT_TURN,
    FULL,
    GROUP_LIMIT,
    GROUP_UNIT,
    MIXED,
    REFRACTORY_BIT,
    SUPRATHRESHOLD_BIT,
    Control,
    ExtraState,
    FloatSettings,
    InFlight,
    Settings,
    Votes,
)

__all__ = [
    "AFTER_SILENT_TURN",
    "BLOCK",
    "FIRED_AT_ONCE",
    "FULL",
    "GROUP_LIMIT",
    "GROUP_UNIT",
    "MIXED",
    "OWNER_BLOCK",
    "REFRACTORY_BIT",
    "ROWS_AHEAD",
    "SLOTS_AHEAD",
    "SUPRATHRESHOLD_BIT",
    "ConnectionKind",
    "Connections",
    "Context",
    "Control",
    "DeliveryLog",
    "Dynamics",
    "ExtraState",
    "FloatSettings",
    "Group",
    "InFlight",
    "Interrupt",
    "Pending",
    "Phase",
    "PolicyCode",
    "Populations",
    "ReadStage",
    "RuleCode",
    "Selected",
    "Settings",
    "SpikeLog",
    "StepCounts",
    "TurnLog",
    "Uniform",
    "Votes",
]
