"""Where MVTec AD can be downloaded, and the digests of its archives.

The addresses are those that MVTec's own download page led to in 2026. MVTec moves them (2022, 2025 and 2026 each broke
the ones before), so any of them may be gone: then `--url` takes the new one, and `unpack` an archive from a browser.

MVTec publishes no checksums. Those below are what public projects recorded of their own downloads. At least two of
them, years apart, agree for bottle, capsule, carpet, grid, metal_nut, screw, toothbrush, transistor, zipper and the
whole; the others come from one table that agrees with the rest on all of these.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

__all__ = ["ADDRESSES", "DOWNLOAD_PAGE", "MVTEC_LICENSE", "Address", "is_mvtec"]

DOWNLOAD_PAGE = "https://www.mvtec.com/company/research/datasets/mvtec-ad/downloads"

MVTEC_LICENSE = """\
MVTec AD, Copyright MVTec Software GmbH
License: Creative Commons BY-NC-SA 4.0 (https://creativecommons.org/licenses/by-nc-sa/4.0/)
  for research and other non-commercial use; give credit; share under the same license.
Cite: Bergmann, Fauser, Sattlegger, Steger: MVTec AD - A Comprehensive Real-World Dataset for Unsupervised
  Anomaly Detection, CVPR 2019; and: The MVTec Anomaly Detection Dataset, IJCV 129, 2021."""

_HOSTS = ("mydrive.ch", "mvtec.com")


@dataclass(frozen=True, slots=True)
class Address:
    """One archive that can be fetched by name: a category, or "mvtec_ad" for all fifteen."""

    name: str
    url: str
    sha256: str


# Below https://www.mydrive.ch/shares/, and the SHA-256.
_ROWS = (
    ("150452/132a93367fb17cdf968dfb5c4013f6e7/download/420937370-1629958698/bottle.tar.xz",
     "726512129cb3b1f47d4f6cd7c7fc9170db7fc209132249c788fec06029cb5dc3"),
    ("150453/10f960e07fec2838b2cd512586633a32/download/420937413-1629958794/cable.tar.xz",
     "1e3d59b80a6a8da5adf32fb0cf311c7b964cde146d6920aef9ca66380999a9cd"),
    ("150454/e0ce6dd74eb150f46c0d98131b3703f2/download/420937454-1629958872/capsule.tar.xz",
     "f6a41cb11f1589d552888fe9c43a1adcbcae15b70073e19093322f836d00a2b6"),
    ("150455/eac7fbce84d93a5094e13f391170eca4/download/420937484-1629959013/carpet.tar.xz",
     "d9dd5064515a20bd75cf24d223c570579141abd72388beef892780b74dbaa85d"),
    ("150456/bb0b2e3dc804ccb8b4485e01f8e4493b/download/420937487-1629959044/grid.tar.xz",
     "d94a9a651cbfaee22c94d06cf8fa8204a590c872362de0489eb34f1645328de8"),
    ("150457/51d49f65e84bdc100ff8035d7dd783ea/download/420937545-1629959162/hazelnut.tar.xz",
     "a7f4e7d65a60a235def7236a46fcb854d62e6c6917c16b1ec9cb4ff089d3b0da"),
    ("150458/923030ce14e10a7d147e95d0f8885f6b/download/420937607-1629959262/leather.tar.xz",
     "704ffa48b1dc2fc44824aa50442d9febc399dd92a5d6fd8156f8aa0373d15f24"),
    ("150459/c68856a21dca589b0f8ff6d4ee0f18f4/download/420937637-1629959294/metal_nut.tar.xz",
     "86e3c8e163ceb19146ad3ddc408e85cc34ae02e0da430e07a73bac6bbb48532a"),
    ("150460/d4f1c04da67034ccc8d8b5fa3e73f244/download/420938129-1629960351/pill.tar.xz",
     "ac6ce9ec4ec2a5d67c906d82147bd7431980cf00b78f25d63201a5f17e3a2038"),
    ("150461/242f454cc6385e5693c4fd4b94567d1e/download/420938130-1629960389/screw.tar.xz",
     "0a27a365a21e472d19b9fb48cb8e4002b49fabe083bff7f4c16fa57d78154f10"),
    ("150462/5479f0fdc97bc6fa16eab0cb0cf0109f/download/420938133-1629960456/tile.tar.xz",
     "392228153b96d0db9f179d3f7c2d63e131e907154883b57309fcbf798643173c"),
    ("150463/895a1a5fb84b958f07417784b060434b/download/420938134-1629960477/toothbrush.tar.xz",
     "fe72a34b4b0d074f84e844be7ef8c4f64f7f02f20e25f19c9e3b4a231c8bea77"),
    ("150464/99b8ea0332438d64fcc2475ee73f9c29/download/420938166-1629960554/transistor.tar.xz",
     "146b2166c35a1d0cf37ded091366ac01a50338b4ac704632f1239890eaca4449"),
    ("150465/d5b4115b720cdb54d217e75636e6e374/download/420938383-1629960649/wood.tar.xz",
     "3757297ac2a266072eb4f25a97f805f5b37fd583492b20bd709f310736c1ea47"),
    ("150466/bd155b557520edaf692d9bfdb915c24a/download/420938385-1629960680/zipper.tar.xz",
     "7ab46e0e195da145db30052baea3d3a5d14c5f0e710137c968e0423f02cb942d"),
    ("150996/b52ecdcbf521176e9db9c731f2304b27/download/420938113-1629960298/mvtec_anomaly_detection.tar.xz",
     "cf4313b13603bec67abb49ca959488f7eedce2a9f7795ec54446c649ac98cd3d"),
)  # fmt: skip

ADDRESSES: dict[str, Address] = {
    name: Address(name, f"https://www.mydrive.ch/shares/{path}", sha256)
    for path, sha256 in _ROWS
    if (name := path.rpartition("/")[2].removesuffix(".tar.xz").replace("mvtec_anomaly_detection", "mvtec_ad"))
}


def is_mvtec(url: str) -> bool:
    """Whether an address is one of MVTec's hosts, so that its license is known."""
    host = (urlsplit(url).hostname or "").lower()
    return any(host == known or host.endswith("." + known) for known in _HOSTS)
