"""Export a network to NIR and import it again."""

# --8<-- [start:interchange]
from neuroasync.interchange import export_nir, import_nir
from neuroasync.shipped import shipped_bundle

bundle = shipped_bundle("unlayered")
export_nir(bundle, "unlayered.nir", decay="euler")  # as Norse and snnTorch read it
print("the same bundle:", import_nir("unlayered.nir") == bundle)

# What the file of another framework does not say, arguments say.
faster = import_nir("unlayered.nir", timestep_us=100, reset="subtract")
print(faster.model.timestep_us, "µs,", faster.model.populations[0].neuron)
# --8<-- [end:interchange]
