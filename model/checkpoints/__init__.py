"""Checkpoints: three file formats, three layouts of tensor names, and the official DINOv2 files.

`weights` opens a checkpoint of any kind as a checked ViT; `files` and `readers` read the formats, `layouts`
maps the names. `convert` writes safetensors; `registry` and `fetch` know and install the official files.
`model.encoder` and the commands of `app.cli` call these. They import `model.config`, `model.transfer` and
NumPy, and never unpickle.
"""
