"""The one list of backends. A new net is one file in `nets`, one row here and one test."""

from restorekit.backends.base import Backend, Capabilities
from restorekit.types import Task

BACKENDS = (
    Backend(
        name="sfnet",
        net="restorekit.nets.sfnet:SFNet",
        infer="restorekit.nets.sfnet:infer_config",
        keys=("SCM1.main.0.main.0.weight", "Encoder.0.layers.0.conv1.main.0.weight"),
        result="last",
        capabilities=Capabilities(multiple=8, minimum=16, global_statistics=True, train_size=256),
        tasks=(Task.DERAIN, Task.DEHAZE, Task.DESNOW, Task.DEBLUR),
        paper="Cui et al., Selective Frequency Network for Image Restoration, ICLR 2023",
        licence="MIT",
    ),
    Backend(
        name="prenet",
        net="restorekit.nets.prenet:PReNet",
        infer="restorekit.nets.prenet:infer_config",
        keys=("conv0.0.weight", "res_conv1.0.weight", "conv.0.weight"),
        result="last",
        assumed=("stages", "late"),
        capabilities=Capabilities(half=True, bfloat16=True, train_size=100),
        tasks=(Task.DERAIN,),
        paper="Ren et al., Progressive Image Deraining Networks, CVPR 2019",
        licence="none stated by the authors",
    ),
    Backend(
        name="drunet",
        net="restorekit.nets.drunet:DRUNet",
        infer="restorekit.nets.drunet:infer_config",
        keys=("m_head.weight", "m_tail.weight", "m_down1.0.res.0.weight"),
        capabilities=Capabilities(multiple=8, minimum=8, train_size=128),
        tasks=(Task.DENOISE, Task.DEJPEG),
        paper="Zhang et al., Plug-and-Play Image Restoration with Deep Denoiser Prior, TPAMI 2021",
        licence="MIT",
    ),
)
