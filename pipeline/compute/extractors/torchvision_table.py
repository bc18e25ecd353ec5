"""What torchvision publishes for its image classifiers: the default weights and their preprocessing.

Kept here so that names, digests and the pixels an extractor needs are known without importing torchvision (4 seconds),
and so that a newer torchvision with other default weights does not change fingerprints behind anybody's back.  A test
compares every entry with the installed torchvision.
"""

from typing import Literal

from pipeline.compute.extractors.preprocessing import Preprocessing

# Mean and standard deviation of ImageNet's training images as torchvision states them, on 0 to 1.
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_Channels = tuple[float, float, float]


def _as_published(
    file: str,
    resize: int,
    crop: int,
    interpolation: Literal["bilinear", "bicubic"] = "bilinear",
    scale: tuple[_Channels, _Channels] = _IMAGENET,
) -> tuple[str, Preprocessing]:
    mean, std = ((255 * red, 255 * green, 255 * blue) for red, green, blue in scale)
    return file, Preprocessing(crop, crop, resize, interpolation, mean, std)


PUBLISHED: dict[str, tuple[str, Preprocessing]] = {
    "alexnet": _as_published("alexnet-owt-7be5be79.pth", 256, 224),
    "convnext_base": _as_published("convnext_base-6075fbad.pth", 232, 224),
    "convnext_large": _as_published("convnext_large-ea097f82.pth", 232, 224),
    "convnext_small": _as_published("convnext_small-0c510722.pth", 230, 224),
    "convnext_tiny": _as_published("convnext_tiny-983f1562.pth", 236, 224),
    "densenet121": _as_published("densenet121-a639ec97.pth", 256, 224),
    "densenet161": _as_published("densenet161-8d451a50.pth", 256, 224),
    "densenet169": _as_published("densenet169-b2777c0a.pth", 256, 224),
    "densenet201": _as_published("densenet201-c1103571.pth", 256, 224),
    "efficientnet_b0": _as_published("efficientnet_b0_rwightman-7f5810bc.pth", 256, 224, "bicubic"),
    "efficientnet_b1": _as_published("efficientnet_b1-c27df63c.pth", 255, 240),
    "efficientnet_b2": _as_published("efficientnet_b2_rwightman-c35c1473.pth", 288, 288, "bicubic"),
    "efficientnet_b3": _as_published("efficientnet_b3_rwightman-b3899882.pth", 320, 300, "bicubic"),
    "efficientnet_b4": _as_published("efficientnet_b4_rwightman-23ab8bcd.pth", 384, 380, "bicubic"),
    "efficientnet_b5": _as_published("efficientnet_b5_lukemelas-1a07897c.pth", 456, 456, "bicubic"),
    "efficientnet_b6": _as_published("efficientnet_b6_lukemelas-24a108a5.pth", 528, 528, "bicubic"),
    "efficientnet_b7": _as_published("efficientnet_b7_lukemelas-c5b4e57e.pth", 600, 600, "bicubic"),
    "efficientnet_v2_l": _as_published("efficientnet_v2_l-59c71312.pth", 480, 480, "bicubic", _HALF),
    "efficientnet_v2_m": _as_published("efficientnet_v2_m-dc08266a.pth", 480, 480),
    "efficientnet_v2_s": _as_published("efficientnet_v2_s-dd5fe13b.pth", 384, 384),
    "googlenet": _as_published("googlenet-1378be20.pth", 256, 224),
    "inception_v3": _as_published("inception_v3_google-0cc3c7bd.pth", 342, 299),
    "maxvit_t": _as_published("maxvit_t-bc5ab103.pth", 224, 224, "bicubic"),
    "mnasnet0_5": _as_published("mnasnet0.5_top1_67.823-3ffadce67e.pth", 256, 224),
    "mnasnet0_75": _as_published("mnasnet0_75-7090bc5f.pth", 232, 224),
    "mnasnet1_0": _as_published("mnasnet1.0_top1_73.512-f206786ef8.pth", 256, 224),
    "mnasnet1_3": _as_published("mnasnet1_3-a4c69d6f.pth", 232, 224),
    "mobilenet_v2": _as_published("mobilenet_v2-7ebf99e0.pth", 232, 224),
    "mobilenet_v3_large": _as_published("mobilenet_v3_large-5c1a4163.pth", 232, 224),
    "mobilenet_v3_small": _as_published("mobilenet_v3_small-047dcff4.pth", 256, 224),
    "regnet_x_16gf": _as_published("regnet_x_16gf-ba3796d7.pth", 232, 224),
    "regnet_x_1_6gf": _as_published("regnet_x_1_6gf-a12f2b72.pth", 232, 224),
    "regnet_x_32gf": _as_published("regnet_x_32gf-6eb8fdc6.pth", 232, 224),
    "regnet_x_3_2gf": _as_published("regnet_x_3_2gf-7071aa85.pth", 232, 224),
    "regnet_x_400mf": _as_published("regnet_x_400mf-62229a5f.pth", 232, 224),
    "regnet_x_800mf": _as_published("regnet_x_800mf-94a99ebd.pth", 232, 224),
    "regnet_x_8gf": _as_published("regnet_x_8gf-2b70d774.pth", 232, 224),
    "regnet_y_128gf": _as_published("regnet_y_128gf_swag-c8ce3e52.pth", 384, 384, "bicubic"),
    "regnet_y_16gf": _as_published("regnet_y_16gf-3e4a00f9.pth", 232, 224),
    "regnet_y_1_6gf": _as_published("regnet_y_1_6gf-0d7bc02a.pth", 232, 224),
    "regnet_y_32gf": _as_published("regnet_y_32gf-8db6d4b5.pth", 232, 224),
    "regnet_y_3_2gf": _as_published("regnet_y_3_2gf-9180c971.pth", 232, 224),
    "regnet_y_400mf": _as_published("regnet_y_400mf-e6988f5f.pth", 232, 224),
    "regnet_y_800mf": _as_published("regnet_y_800mf-58fc7688.pth", 232, 224),
    "regnet_y_8gf": _as_published("regnet_y_8gf-dc2b1b54.pth", 232, 224),
    "resnet101": _as_published("resnet101-cd907fc2.pth", 232, 224),
    "resnet152": _as_published("resnet152-f82ba261.pth", 232, 224),
    "resnet18": _as_published("resnet18-f37072fd.pth", 256, 224),
    "resnet34": _as_published("resnet34-b627a593.pth", 256, 224),
    "resnet50": _as_published("resnet50-11ad3fa6.pth", 232, 224),
    "resnext101_32x8d": _as_published("resnext101_32x8d-110c445d.pth", 232, 224),
    "resnext101_64x4d": _as_published("resnext101_64x4d-173b62eb.pth", 232, 224),
    "resnext50_32x4d": _as_published("resnext50_32x4d-1a0047aa.pth", 232, 224),
    "shufflenet_v2_x0_5": _as_published("shufflenetv2_x0.5-f707e7126e.pth", 256, 224),
    "shufflenet_v2_x1_0": _as_published("shufflenetv2_x1-5666bf0f80.pth", 256, 224),
    "shufflenet_v2_x1_5": _as_published("shufflenetv2_x1_5-3c479a10.pth", 232, 224),
    "shufflenet_v2_x2_0": _as_published("shufflenetv2_x2_0-8be3c8ee.pth", 232, 224),
    "squeezenet1_0": _as_published("squeezenet1_0-b66bff10.pth", 256, 224),
    "squeezenet1_1": _as_published("squeezenet1_1-b8a52dc0.pth", 256, 224),
    "swin_b": _as_published("swin_b-68c6b09e.pth", 238, 224, "bicubic"),
    "swin_s": _as_published("swin_s-5e29d889.pth", 246, 224, "bicubic"),
    "swin_t": _as_published("swin_t-704ceda3.pth", 232, 224, "bicubic"),
    "swin_v2_b": _as_published("swin_v2_b-781e5279.pth", 272, 256, "bicubic"),
    "swin_v2_s": _as_published("swin_v2_s-637d8ceb.pth", 260, 256, "bicubic"),
    "swin_v2_t": _as_published("swin_v2_t-b137f0e2.pth", 260, 256, "bicubic"),
    "vgg11": _as_published("vgg11-8a719046.pth", 256, 224),
    "vgg11_bn": _as_published("vgg11_bn-6002323d.pth", 256, 224),
    "vgg13": _as_published("vgg13-19584684.pth", 256, 224),
    "vgg13_bn": _as_published("vgg13_bn-abd245e5.pth", 256, 224),
    "vgg16": _as_published("vgg16-397923af.pth", 256, 224),
    "vgg16_bn": _as_published("vgg16_bn-6c64b313.pth", 256, 224),
    "vgg19": _as_published("vgg19-dcbb9e9d.pth", 256, 224),
    "vgg19_bn": _as_published("vgg19_bn-c79401a0.pth", 256, 224),
    "vit_b_16": _as_published("vit_b_16-c867db91.pth", 256, 224),
    "vit_b_32": _as_published("vit_b_32-d86f8d99.pth", 256, 224),
    "vit_h_14": _as_published("vit_h_14_swag-80465313.pth", 518, 518, "bicubic"),
    "vit_l_16": _as_published("vit_l_16-852ce7e3.pth", 242, 224),
    "vit_l_32": _as_published("vit_l_32-c7638314.pth", 256, 224),
    "wide_resnet101_2": _as_published("wide_resnet101_2-d733dc28.pth", 232, 224),
    "wide_resnet50_2": _as_published("wide_resnet50_2-9ba9bcbe.pth", 232, 224),
}
"""Model -> file name of its weights, which ends in the first digits of its SHA-256, and its preprocessing."""
