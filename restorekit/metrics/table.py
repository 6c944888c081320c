"""The protocols behind published tables, as data. A new one is one row here.

Where nothing else is said a published number is of the whole picture at once, reflected to the
sizes that the net takes, with averages over all of it.
"""

from functools import partial

from restorekit.metrics.protocol import Noise, Protocol, Window

_published = partial(Protocol, tile=0, statistics="global")

# The authors' test windows; a net that is not named here averaged over the whole picture.
_NAFNET = Window("nafnet", 384, "crop")
_FSNET = Window("fsnet", 80)


def _sfnet(fraction: int) -> Window:
    return Window("sfnet", fraction)


def _gaussian_noise(sigma: int) -> Protocol:
    return _published(
        f"awgn-sigma{sigma}",
        f"white Gaussian noise of sigma {sigma} on clean pictures, not clipped, numpy's "
        "RandomState(0) restarted for each picture; RGB rounded to 8 bits",
        "KAIR, Restormer, SwinIR: colour denoising tables",
        noise=Noise(sigma),
    )


def _super_resolution(scale: int) -> Protocol:
    return _published(
        f"srgan-y-crop{scale}",
        f"RGB rounded to 8 bits, MATLAB's Y unrounded, border of {scale} pixels left out",
        f"BasicSR: x{scale} super-resolution tables",
        space="y-float",
        crop_border=scale,
        scale=scale,
    )


ROWS = (
    Protocol("rgb", "RGB rounded to 8 bits", "BasicSR; denoising tables"),
    Protocol("rgb-float", "RGB clipped, not rounded", "SFNet family", quantise="none"),
    _published(
        "gopro-rgb",
        "RGB rounded to 8 bits, SSIM per channel; pictures continued by their edge",
        "DeepDeblur-PyTorch (Nah 2017)",
        padding="edge",
        windows=(_sfnet(80), _FSNET, _NAFNET),
    ),
    _published(
        "gopro-matlab",
        "RGB rounded to 8 bits, MATLAB's SSIM of the colour volume",
        "GoPro tables of MPRNet, Restormer, NAFNet",
        ssim="gaussian-3d",
        windows=(_sfnet(80), _FSNET, _NAFNET),
    ),
    _published(
        "gopro-matlab-local",
        "RGB rounded to 8 bits, MATLAB's SSIM of the colour volume; averages and attention over "
        "windows (TLC)",
        "TLC (Chu 2022): GoPro and HIDE tables of Restormer-local and NAFNet",
        ssim="gaussian-3d",
        windows=(Window("restormer", 256, "crop"), _NAFNET),
    ),
    _published(
        "hide-matlab",
        "RGB rounded to 8 bits, MATLAB's SSIM of the colour volume",
        "HIDE tables of MPRNet, Restormer, NAFNet",
        ssim="gaussian-3d",
        windows=(_sfnet(110), _FSNET, _NAFNET),
    ),
    _published(
        "realblur-aligned",
        "RGB rounded to 8 bits, laid over the reference by one factor of brightness and a "
        "homography (ECC), where the two overlap",
        "RealBlur (Rim 2020) and all tables on it",
        align=True,
        windows=(_NAFNET,),
    ),
    _published(
        "rsblur-aligned",
        "RGB rounded to 8 bits, laid over the reference by one factor of brightness and a "
        "homography (ECC), where the two overlap",
        "RSBlur (Rim 2022) and all tables on it",
        align=True,
        windows=(_sfnet(75), _FSNET),
    ),
    _published(
        "dpdd",
        "RGB clipped, not rounded; SSIM with a uniform window of 7 pixels",
        "DPDD (Abuolaim 2020), IFAN, Restormer: defocus tables",
        quantise="none",
        ssim="uniform-7",
        metrics=("psnr", "ssim", "mae", "lpips_alex"),
    ),
    _published(
        "sots-rgb",
        "RGB clipped, not rounded; SSIM of the pictures reduced to about 256 pixels",
        "SFNet, FSNet, ConvIR: dehazing tables, SOTS-Indoor",
        quantise="none",
        ssim="pooled-sfnet",
        windows=(_sfnet(246),),
    ),
    _published(
        "sots-outdoor-rgb",
        "RGB clipped, not rounded; SSIM of the pictures reduced to about 256 pixels",
        "SFNet, FSNet, ConvIR: dehazing tables, SOTS-Outdoor",
        quantise="none",
        ssim="pooled-sfnet",
        windows=(_sfnet(210), Window("fsnet", 210)),
    ),
    _published(
        "haze-rgb",
        "RGB clipped, not rounded; SSIM of the pictures reduced to about 256 pixels",
        "SFNet, FocalNet, SFHformer: tables on Dense-Haze, NH-HAZE, I-HAZE and O-HAZE",
        quantise="none",
        ssim="pooled-sfnet",
    ),
    _published(
        "haze-rgb-full",
        "RGB clipped, not rounded; SSIM of the pictures as they are",
        "ConvIR: tables on Dense-Haze, NH-HAZE, I-HAZE and O-HAZE",
        quantise="none",
    ),
    _published(
        "dehazeformer-rgb",
        "RGB clipped, not rounded; SSIM of the pictures reduced to about 256 pixels, their sides "
        "not padded before",
        "DehazeFormer, MixDehazeNet: dehazing tables",
        quantise="none",
        ssim="pooled",
    ),
    _published(
        "ffa-rgb",
        "RGB clipped, not rounded; SSIM with the picture continued by zeros",
        "FFA-Net: dehazing tables",
        quantise="none",
        ssim="gaussian-zero",
    ),
    _published(
        "csd-rgb",
        "RGB clipped, not rounded; SSIM of the pictures reduced to about 256 pixels",
        "SFNet, FSNet, ConvIR: desnowing tables, CSD",
        quantise="none",
        ssim="pooled-sfnet",
        windows=(_sfnet(200),),
    ),
    _published(
        "snow-rgb",
        "RGB clipped, not rounded; SSIM of the pictures reduced to about 256 pixels",
        "SFNet, FSNet, ConvIR: desnowing tables, 2000 pictures of SRRS and of Snow100K",
        quantise="none",
        ssim="pooled-sfnet",
    ),
    _published(
        "snow100k-y",
        "RGB rounded to 8 bits, MATLAB's Y unrounded",
        "All-in-One, WeatherDiff, Histoformer: Snow100K-S and -L",
        space="y-float",
    ),
    _published(
        "snowformer-rgb",
        "RGB clipped, not rounded, restored in tiles of 256 pixels; SSIM with the picture "
        "continued by zeros",
        "SnowFormer: desnowing tables",
        quantise="none",
        ssim="gaussian-zero",
        tile=256,
        overlap=32,
    ),
    _published(
        "rain-y-matlab",
        "8-bit pictures, MATLAB's Y rounded to 8 bits",
        "MPRNet, Restormer, SFNet: deraining tables",
        space="y-matlab",
    ),
    _published(
        "prenet-y",
        "8-bit pictures that are cut and not rounded, MATLAB's Y unrounded",
        "PReNet, PRN: deraining tables",
        space="y-float",
        quantise="truncate",
    ),
    _published(
        "spa-rgb",
        "RGB rounded to 8 bits, SSIM with a uniform window of 7 pixels",
        "SPANet (Wang 2019); later tables on SPA are of rain-y-matlab",
        ssim="uniform-7",
    ),
    _published(
        "raindrop-y",
        "sides cut to multiples of 4, 8-bit pictures cut and not rounded, full-range luma, "
        "SSIM with a uniform window of 7 pixels",
        "DeRaindrop (Qian 2018)",
        space="y-full",
        quantise="truncate",
        crop_multiple=4,
        ssim="uniform-7",
    ),
    *(_super_resolution(scale) for scale in (2, 3, 4)),
    _published(
        "rwsr-lpips",
        "RGB rounded to 8 bits, SSIM with a uniform window of 7 pixels",
        "NTIRE 2020 and AIM 2019 real-world super-resolution, SRFlow, DeFlow",
        ssim="uniform-7",
        metrics=("psnr", "ssim", "lpips_alex"),
        scale=4,
    ),
    _published(
        "sidd-matlab",
        "RGB clipped, not rounded, MATLAB's SSIM of the colour volume",
        "SIDD and DND tables of MPRNet, Restormer, NAFNet",
        quantise="none",
        ssim="gaussian-3d",
    ),
    _published(
        "cifar-sigma25.5",
        "white Gaussian noise of sigma 25.5 (0.1 of white) on clean pictures, not clipped, drawn "
        "for each picture's name; RGB rounded to 8 bits",
        "restorekit: no paper defines one for CIFAR-10",
        noise=Noise(25.5, by_name=True),
    ),
    *(_gaussian_noise(sigma) for sigma in (15, 25, 50)),
)
