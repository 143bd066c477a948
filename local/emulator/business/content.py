"""What the service says of a product: details, localized details and licenses, made from its record.

Everything here is a pure function of the record, so the same record always gives the same answer and two first starts
have the same products. Values are JSON as on the wire. Addresses on the CDN are written ``cdn:PATH``; they are signed
when an answer goes out. Letter case of enum values differs between products, as it does in the documentation.
Source: Store for Business reference, "Data structures".
"""

import base64
import hashlib
import unicodedata
import uuid
from random import Random

from local.emulator.business.records import Product, ProductKey
from local.emulator.business.words import (
    BRANDS,
    CATEGORIES,
    FALLBACK_LANGUAGE,
    NOUNS,
    OPENINGS,
    PUBLISHERS,
    SENTENCES,
)
from local.emulator.cdn.content import png_size

type Json = dict[str, object]

DESCRIPTION_LIMIT = 10_000

_LOGO = (160, 160)
_SCREENSHOT = (320, 192)


def key_json(key: ProductKey) -> Json:
    """Return a ProductKey."""
    return {"productId": key[0], "skuId": key[1]}


def stable_id(text: str) -> str:
    """Return a GUID that follows from ``text``."""
    return str(uuid.UUID(bytes=hashlib.blake2b(text.encode(), digest_size=16).digest()))


def publisher(product: Product, slug: str) -> tuple[str, str, str]:
    """Return name, website and id of the publisher; a line-of-business app's is the tenant itself."""
    if product.enterprise:
        return f"{slug.title()} IT", f"https://apps.{slug}.example", f"{slug:x<13.13}".lower()
    return Random(f"publisher {product.seed}").choice(PUBLISHERS)


def identity_name(product: Product, slug: str) -> str:
    """Return the package identity name, such as ``Litware.AlpineNotes42``."""
    plain = unicodedata.normalize("NFKD", publisher(product, slug)[0])
    company = "".join(letter for letter in plain.split(",")[0] if letter.isascii())
    words = _brand(product) + NOUNS[FALLBACK_LANGUAGE][_noun(product)]
    name = "".join(letter for letter in f"{company or 'Relecloud'}.{words}" if letter.isalnum() or letter == ".")
    return f"{name.strip('.')}{product.seed}"


def details(product: Product, slug: str) -> Json:
    """Return the ProductDetails."""
    random = Random(f"details {product.seed}")
    publisher_id = publisher(product, slug)[2]
    alternate = ["LegacyWindowStoreProductId", "LegacyWindowsPhoneProductId", "RedirectToThresholdProductId"]
    platforms = ["Windows.Universal", "Windows.Desktop", "Windows.Mobile"][: random.choice((1, 1, 2))]
    build = 10240 + 347 * product.revisions.details
    return {
        "productKey": key_json(product.key),
        "productType": "Application",
        "applicationType": "Enterprise" if product.enterprise else random.choice(("Store", "Store", "store")),
        "supportedLanguages": product.languages,
        "publisherId": publisher_id,
        "category": CATEGORIES[(random.randrange(len(CATEGORIES)) + product.revisions.details) % len(CATEGORIES)],
        "alternateIds": [
            {"type": kind, "value": stable_id(f"{kind} {product.seed}")}
            for kind in alternate[: 0 if product.enterprise else random.randrange(4)]
        ],
        "packageFamilyName": f"{identity_name(product, slug)}_{publisher_id}",
        "supportedPlatforms": [
            {
                "platformName": name,
                "minVersion": version(10, 0, 10240, 0),
                "maxTestedVersion": version(10, 0, build, 0),
                "architectures": random.choice((["x86", "x64", "Arm"], ["Neutral"], ["x64", "x86"], ["neutral"])),
            }
            for name in platforms
        ],
    }


def localized(product: Product, slug: str, language: str) -> Json:
    """Return the LocalizedProductDetail in a language that the product has."""
    name, website, _ = publisher(product, slug)
    return {
        "language": language,
        "displayName": display_name(product, language),
        "description": _description(product, language),
        "images": _images(product, language),
        "publisher": {"publisherName": name, "publisherWebsite": website},
    }


def display_name(product: Product, language: str) -> str:
    """Return the name: the brand is not translated, the noun is; numbered where the words were used before."""
    name = f"{_brand(product)} {_words(NOUNS, language)[_noun(product)]}"
    number = product.seed // (len(BRANDS) * len(NOUNS[FALLBACK_LANGUAGE]))
    return f"{name} {number + 1}" if number else name


def license_json(product: Product, domain: str, content_id: str) -> Json:
    """Return the OfflineLicense of one package; blob and instance id change when the license is renewed."""
    instance = product.revisions.license
    seal = hashlib.shake_256(f"{domain} {product.key} {content_id} {instance}".encode()).digest(384)
    blob = f'<License Version="{instance}" Requestor="{domain}">{seal.hex()}</License>'
    return {
        "productKey": key_json(product.key),
        "licenseBlob": base64.b64encode(blob.encode()).decode(),
        "licenseInstanceId": str(instance),
        "requestorId": domain,
        "contentId": content_id,
    }


def version(major: int, minor: int, build: int, revision: int) -> Json:
    """Return a VersionInfo."""
    return {"major": major, "minor": minor, "build": build, "revision": revision}


def _brand(product: Product) -> str:
    return BRANDS[product.seed % len(BRANDS)]


def _noun(product: Product) -> int:
    return product.seed // len(BRANDS) % len(NOUNS[FALLBACK_LANGUAGE])


def _words[T](table: dict[str, T], language: str) -> T:
    # A generated product may have any language; those without words of their own are written in English.
    return table.get(language, table[FALLBACK_LANGUAGE])


def _description(product: Product, language: str) -> str:
    random = Random(f"description {product.seed} {product.revisions.description}")
    sentences = _words(SENTENCES, language)
    # One in forty takes all the space that a description may have.
    count = 1000 if product.seed % 40 == 7 else random.randrange(1, 12)
    parts = [_words(OPENINGS, language).format(name=display_name(product, language))]
    parts += [f"[{product.revisions.description + 1}.0]"] if product.revisions.description else []
    parts += [random.choice(sentences) for _ in range(count)]
    return " ".join(parts)[:DESCRIPTION_LIMIT]


def _images(product: Product, language: str) -> list[Json]:
    if product.artwork is None:
        return []
    random = Random(f"artwork {product.artwork}")
    name = f"images/{product.artwork:x}-{product.revisions.artwork}"
    colors = f"#{random.randrange(1 << 24):06X}", random.choice(("#FFFFFF", "#000000"))
    logo = _image(f"{name}-logo", _LOGO, "logo", "", colors)
    shots = [
        _image(f"{name}-{language}-{number}", _SCREENSHOT, "screenshot", f"{display_name(product, language)} {number}")
        for number in range(1, random.choice((2, 2, 3)))
    ]
    return [logo, *shots]


def _image(name: str, size: tuple[int, int], purpose: str, caption: str, colors: tuple[str, str] = ("", "")) -> Json:
    width, height = size
    return {
        "location": f"cdn:{name}-{width}x{height}.png",
        "purpose": purpose,
        "height": str(height),
        "width": str(width),
        "caption": caption,
        "backgroundColor": colors[0],
        "foregroundColor": colors[1],
        "fileSize": png_size(width, height),
    }
