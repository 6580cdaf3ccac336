"""The vision transformer, in NumPy.

Before this package, read ``tests/support/reference.py``: the same network written down plainly in
float64. What is here computes the same numbers fast. In reading order:

1. `model.network.vit`: the forward pass, from pixels to features.
2. `model.network.stream`: the residual stream that the blocks add to.
3. `model.network.layers`: attention and the MLPs, as sums that threads share.
4. `model.network.fold`: norms, scales and biases multiplied into the matrices when a checkpoint is loaded.
5. `model.network.positions`: position embeddings, interpolated to other picture sizes.
6. `model.network.functional`: GELU, SwiGLU, LayerNorm and softmax on arrays.
7. `model.network.panels`, `model.network.threads`, `model.network.buffers`: matrix products, threads and
   memory.

`model.encoder` calls it. It imports NumPy, threadpoolctl, `model.config` and, to read a checkpoint,
`model.checkpoints.weights`; nothing else of this project.
"""
