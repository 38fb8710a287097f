"""Payment codes: `tael qr` against independent codecs (emv-qrcps and promptparse) in both
directions, and its pictures against an independent reader (ZXing)."""

import io
import json
import os
import pathlib
import pty
import random
import re
import select
import subprocess
import xml.etree.ElementTree

import pytest
import zxingcpp
from PIL import Image

from kit.codecs import codecs
from kit.server import PROGRAM, run_tael, without_tael_settings

FOLDER = pathlib.Path(__file__).resolve().parent / "node"
CORPUS = FOLDER.parent.parent / "corpora"
SEED = random.randrange(2**32)
TEMPLATES = {"62", "64", *(f"{id:02}" for id in range(26, 52)), *(str(id) for id in range(80, 100))}
REFERENCE = "pi_0K7mQxAbCdEfGhIjKlMnO2"

EMVCO = (CORPUS / "emvqr" / "emvco").read_text()
PIX = (CORPUS / "emvqr" / "pix").read_text()
PROMPTPAY = (CORPUS / "emvqr" / "promptpay").read_text()
CONSUMER = (CORPUS / "emvqr_consumer" / "sample").read_text()


def parse(code):
    result = run_tael("qr", "parse", "--json", "-", stdin=code)
    assert result.returncode == 0, (code, result.stdout, result.stderr)
    return json.loads(result.stdout)


def refusal(code):
    result = run_tael("qr", "parse", "--json", "-", stdin=code)
    assert result.returncode == 1 and not result.stderr, (code, result)
    return json.loads(result.stdout)["error"]


def build(*words):
    result = run_tael("qr", "build", *words)
    assert result.returncode == 0, (words, result.stderr)
    return result.stdout.removesuffix("\n")


def without_crc(objects):
    return {path: value for path, value in objects.items() if path != "63"}


# ---- drafts at random ----------------------------------------------------------------------

WORDS = ["Cafe", "Kaffeehaus", "Sari-Sari", "café", "Österreich", "最佳运输", "北京", "ร้านกาแฟ", "Bún chả",
         "a&b", "x=y", "100%", "***", "Zoë's"]
FLAGS = {
    "58": "--country", "59": "--name", "60": "--city", "61": "--postal-code", "52": "--category",
    "62-01": "--bill-number", "62-02": "--mobile-number", "62-03": "--store-label",
    "62-04": "--loyalty-number", "62-05": "--reference-label", "62-06": "--customer-label",
    "62-07": "--terminal-label", "62-08": "--purpose", "62-09": "--consumer-data-request",
    "64-00": "--language", "64-01": "--language-name", "64-02": "--language-city",
}


def draft_text(rng, longest, plain):
    """Words up to so many characters."""
    words = [word for word in WORDS if word.isascii() or not plain]
    made = " ".join(rng.choices(words, k=rng.randint(1, 3)))
    return made[:longest].strip() or "x"


def draft(rng, plain):
    """A draft as objects by path, and as words for `tael qr build`; plain is ASCII."""
    def text(rng, longest):
        return draft_text(rng, longest, plain)

    currency, number, decimals = rng.choice(
        [("USD", "840", 2), ("JPY", "392", 0), ("KWD", "414", 3), ("THB", "764", 2)])
    objects = {"00": "01"}
    words = [f"--currency={currency}"]
    initiation = rng.choice(["static", "dynamic", "none"])
    words.append(f"--initiation={initiation}")
    if initiation != "none":
        objects["01"] = {"static": "11", "dynamic": "12"}[initiation]
    for id in sorted(rng.sample(range(26, 52), rng.randint(1, 2))):
        account = {"00": f"org.test{id}"}
        for inner in rng.sample(range(1, 100), rng.randint(0, 2)):
            account[f"{inner:02}"] = text(rng, 20)
        for inner in sorted(account):
            objects[f"{id}-{inner}"] = account[inner]
            words.append(f"{id}-{inner}={account[inner]}")
    objects.update({"52": f"{rng.randrange(10000):04}", "53": number})

    def amount(largest):
        units = rng.randint(1, largest)
        return f"{units // 10**decimals}.{units % 10**decimals:0{decimals}}" if decimals else str(units)

    if rng.random() < 0.7:
        objects["54"] = amount(10**9)
        words.append(f"--amount={objects['54']}")
    # emv-qrcps loses the percentage.
    tip = rng.choice([None, "01", "02", "03"] if plain else [None, "01", "02"])
    if tip is not None:
        objects["55"] = tip
    if tip == "01":
        words.append("--tip-prompt")
    if tip == "02":
        objects["56"] = amount(10**5)
        words.append(f"--tip-amount={objects['56']}")
    if tip == "03":
        points = rng.randint(1, 9999)
        objects["57"] = f"{points // 100:02}.{points % 100:02}"
        words.append(f"--tip-basis-points={points}")
    objects.update({"58": rng.choice(["US", "AT", "TH"]), "59": text(rng, 25), "60": text(rng, 15)})
    if rng.random() < 0.5:
        objects["61"] = str(rng.randrange(10**5))
    for inner in sorted(rng.sample(range(1, 9), rng.randint(0, 3))):
        objects[f"62-{inner:02}"] = text(rng, 12)
    if rng.random() < 0.3:
        objects["62-09"] = rng.choice(["A", "ME", "AME"])
    if rng.random() < 0.5 and not plain:
        objects.update({"64-00": "ZH", "64-01": "最佳运输", "64-02": "北京"})
    words += [f"{FLAGS[path]}={value}" for path, value in objects.items() if path in FLAGS]
    return objects, words


@pytest.fixture(scope="module")
def drafts():
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    made = [draft(rng, plain=count % 2 == 0) for count in range(80)]
    return [(objects, build(*words)) for objects, words in made]


def without_percentage(drafts):
    return [(objects, code) for objects, code in drafts if "57" not in objects]


def nested(objects):
    """[id, value] of the code's own objects, templates put together, in order."""
    made = {}
    for path, value in sorted(objects.items()):
        id, _, inner = path.partition("-")
        made[id] = made.get(id, "") + (f"{inner}{len(value):02}{value}" if inner else value)
    return [[id, value] for id, value in made.items()]


def test_ours_are_read_by_emv_qrcps(drafts):
    drafts = without_percentage(drafts)
    answers = codecs(*({"operation": "emv-qrcps parse", "code": code} for _, code in drafts))
    for (objects, code), theirs in zip(drafts, answers):
        assert theirs.get("error") is None, (code, theirs)
        assert without_crc(theirs["objects"]) == objects
        # It writes again what it read, and comes to the same code and checksum, of which it leaves
        # off the leading zeros.
        crc = code[-4:].lstrip("0")
        assert theirs["again"] == f"{code[:-8]}63{len(crc):02}{crc}"


def test_ours_are_read_by_promptparse(drafts):
    # Its checksum runs over characters, not bytes: of codes with others it says that they are bad.
    ascii_only = [(objects, code) for objects, code in drafts if code.isascii()]
    assert len(ascii_only) >= 40
    answers = codecs(*({"operation": "promptparse parse", "code": code} for _, code in ascii_only))
    for (objects, code), theirs in zip(ascii_only, answers):
        assert theirs is not None, code
        assert [tag for tag in theirs if tag[0] != "63"] == nested(objects)


def test_theirs_are_read_by_us(drafts):
    kept = [objects for objects, _ in without_percentage(drafts)]
    count = 0
    answers = codecs(*({"operation": "emv-qrcps build", "objects": objects} for objects in kept))
    for objects, code in zip(kept, answers):
        assert isinstance(code, str), code
        if code[-8:-4] != "6304":
            assert refusal(code)["code"] in ("value_length", "crc_missing", "length_invalid",
                                             "id_invalid")
            continue
        ours = parse(code)
        assert without_crc(ours["objects"]) == objects
        assert ours["merchant"]["name"] == objects["59"]
        assert ours["length_unit"] == "characters"
        count += 1
    assert count > 40
    plain = [objects for objects, code in drafts if code.isascii()]
    jobs = [{"operation": "promptparse build", "tags": nested(objects)} for objects in plain]
    for objects, code in zip(plain, codecs(*jobs)):
        assert without_crc(parse(code)["objects"]) == objects


def test_promptpay_both_ways():
    codes = codecs(
        {"operation": "promptparse anyId", "type": "MSISDN", "target": "0812223333"},
        {"operation": "promptparse anyId", "type": "NATID", "target": "1234567890123",
         "amount": 4.22},
        {"operation": "promptparse anyId", "type": "EWALLETID", "target": "123456789012345"},
        {"operation": "promptparse billPayment", "billerId": "099999999999990", "amount": 3649.22,
         "ref1": "CUSTOMER001", "ref2": "INV001"},
        {"operation": "promptparse trueMoney", "mobileNo": "0801111111", "amount": 10,
         "message": "Hello World!"},
    )
    phone, person, wallet, bill, true_money = [parse(code) for code in codes]
    assert codes[0] == PROMPTPAY
    assert phone["scheme"] == "promptpay" and phone["amount"] is None
    assert phone["accounts"][0]["fields"] == {"phone": "0066812223333"}
    assert person["amount"] == 422 and person["currency"] == "thb"
    assert person["accounts"][0]["fields"] == {"national_id": "1234567890123"}
    assert wallet["accounts"][0]["fields"] == {"e_wallet": "123456789012345"}
    assert bill["scheme"] == "promptpay_bill" and bill["amount"] == 364922
    assert bill["accounts"][0]["fields"] == {
        "biller": "099999999999990", "reference_1": "CUSTOMER001", "reference_2": "INV001"}
    assert true_money["scheme"] == "promptpay" and true_money["objects"]["81"].startswith("0048")

    thai = ("--country=TH", "--currency=THB", "--category=")
    ours = build(*thai, "29-00=A000000677010111", "29-01=0066812223333")
    assert ours == PROMPTPAY
    with_amount = build(*thai, "--amount=99.50", "29-00=A000000677010111", "29-02=1234567890123")
    bill = build(*thai, "--amount=7.00", "30-00=A000000677010112", "30-01=099999999999990",
                 "30-02=CUSTOMER001", "30-03=INV001")
    assert codecs(
        {"operation": "promptparse validate anyId", "code": ours},
        {"operation": "promptparse validate anyId", "code": with_amount},
        {"operation": "promptparse validate billPayment", "code": bill},
    ) == [
        {"type": "MSISDN", "target": "0812223333"},
        {"type": "NATID", "target": "1234567890123", "amount": 99.5},
        {"billerId": "099999999999990", "ref1": "CUSTOMER001", "ref2": "INV001", "amount": 7},
    ]


def test_a_slip_is_no_payment_code():
    (slip,) = codecs({"operation": "promptparse slipVerify", "sendingBank": "002",
                      "transRef": "0002123123121200011"})
    assert refusal(slip)["code"] == "not_a_code"


def test_consumer_codes():
    job = {
        "operation": "emv-qrcps consumer",
        "applications": [["A0000000555555", "Product1"], ["A0000000666666", "Product2"]],
        "common": {"pan": "4242424242424242", "name": "CARDHOLDER/EMV", "languages": "ruesdeen"},
        "transparent": {"cryptogram": "584FD385FA234BCC", "counter": "0001"},
    }
    (code,) = codecs(job)
    ours = parse(code)
    assert ours["applications"] == 2
    objects = {each["path"]: each for each in ours["objects"]}
    assert objects["61.1-4F"]["value"] == "a0000000555555"
    assert objects["61.2-50"]["text"] == "Product2"
    assert objects["62-5F20"]["text"] == "CARDHOLDER/EMV"
    assert objects["62-64-9F26"]["value"] == "584fd385fa234bcc"
    for words in (["--json"], []):
        output = run_tael("qr", "parse", "-", *words, stdin=code).stdout
        assert "424242******4242" in output and "42424242424242" not in output
    assert refusal(CONSUMER[:-4])["code"] in ("length_overrun", "base64_invalid")
    assert refusal(CONSUMER[:-2] + "=")["code"] == "base64_invalid"


def test_tael_codes():
    code = build(f"--reference={REFERENCE}", "--name=Kaffeehaus", "--city=Wien", "--country=AT",
                 "--category=5812", "--currency=eur", "--amount=12.50")
    ours = parse(code)
    assert ours["scheme"] == "tael" and ours["reference"] == REFERENCE
    assert ours["amount"] == 1250 and ours["currency"] == "eur" and ours["initiation"] == "dynamic"
    (theirs,) = codecs({"operation": "emv-qrcps parse", "code": code})
    assert theirs["objects"]["26-00"] == "org.tael" and theirs["objects"]["26-01"] == REFERENCE
    static = parse(build(f"--reference={REFERENCE}", "--name=K", "--city=W"))
    assert static["amount"] is None and static["initiation"] == "static"


def test_amounts_are_the_apis():
    """Of ISK the API has two decimals, ISO none."""
    ours = parse(build(f"--reference={REFERENCE}", "--name=K", "--city=W", "--currency=isk",
                       "--amount=5.00"))
    assert ours["objects"]["54"] == "5" and ours["amount"] == 500
    result = run_tael("qr", "build", "--name=K", "--city=W", "--currency=isk", "--amount=5.50",
                      f"--reference={REFERENCE}")
    assert result.returncode == 2 and "--amount" in result.stderr


def test_every_character_changed_is_refused():
    """One change for each place; src/wire/emvqr tries every byte."""
    rng = random.Random(SEED)
    print(f"seed {SEED}")
    for code in (PIX, build(f"--reference={REFERENCE}", "--name=Kaffeehaus", "--city=Wien")):
        for place, character in enumerate(code):
            other = rng.choice([c for c in map(chr, range(0x20, 0x7f)) if c != character])
            changed = code[:place] + other + code[place + 1:]
            result = run_tael("qr", "parse", "-", stdin=changed)
            assert result.returncode == 1 and result.stderr and not result.stdout, changed


def test_refusals_say_why():
    assert refusal(PIX[:-4] + "DEMO") == {
        "code": "crc_wrong", "path": "63", "position": len(PIX) - 4,
        "message": "the checksum is wrong: the code is damaged or was changed"}
    assert refusal(PIX[:-8])["code"] == "crc_missing"
    assert refusal(PIX + "9900")["code"] in ("length_invalid", "crc_not_last")
    assert refusal("https://example.com")["code"] == "not_a_code"
    assert refusal("")["code"] == "empty"
    assert refusal("upi://pay?pa=nobody")["path"] == "pa"
    result = run_tael("qr", "build", "--name=" + "x" * 26, "--city=W", f"--reference={REFERENCE}")
    assert result.returncode == 1 and "; in 59" in result.stderr
    result = run_tael("qr", "build", "--json", "--name=x", "--city=W", "--reference=pi_1")
    assert json.loads(result.stdout)["error"]["path"] == "26-01"


def test_usage_is_2():
    for words in (
        ["qr"], ["qr", "parse"], ["qr", "parse", "a", "b"], ["qr", "image"],
        ["qr", "build", "59"], ["qr", "build", "5=x"], ["qr", "build", "59-=x"],
        ["qr", "build", "26-00-00-00=x"], ["qr", "build", "--currency=zzz"],
        ["qr", "build", "--amount=1.5"], ["qr", "build", "--initiation=always"],
        ["qr", "build", "--length-unit=words"], ["qr", "build", "--tip-prompt", "--tip-amount=1.00"],
        ["qr", "image", "x", "--format=gif"], ["qr", "image", "x", "--module-pixels=33"],
        ["qr", "image", "x", "--title=" + "x" * 257],
    ):
        result = run_tael(*words)
        assert result.returncode == 2 and result.stderr and not result.stdout, (words, result)


# ---- pictures ------------------------------------------------------------------------------


def draw(payload, *words):
    result = subprocess.run(
        [PROGRAM, "qr", "image", "-", *words], input=payload.encode(), capture_output=True,
        timeout=60, env=without_tael_settings())
    assert result.returncode == 0, result.stderr
    return result.stdout


def read(image):
    """What the one QR code in a picture says, by ZXing."""
    (found,) = zxingcpp.read_barcodes(image.convert("L"), formats=zxingcpp.BarcodeFormat.QRCode)
    assert found.error is None
    return found.bytes.decode()


def raster(svg, pixels):
    """Draws an SVG of ours as a browser would, for it uses little of the language."""
    root = xml.etree.ElementTree.fromstring(svg)
    space = "{http://www.w3.org/2000/svg}"
    assert root.tag == f"{space}svg" and root.get("role") == "img"
    assert root.get("shape-rendering") == "crispEdges"
    _, _, modules, _ = map(int, root.get("viewBox").split())
    assert root.get("width") == root.get("height") == str(modules * pixels)
    title, rect, path = root
    assert title.tag == f"{space}title" and title.text
    assert rect.get("width") == rect.get("height") == str(modules) and rect.get("fill") == "#fff"
    image = Image.new("L", (modules, modules), 255)
    rest = re.sub(r"M(\d+) (\d+)h(\d+)v1h-(\d+)z", lambda found: rectangle(image, found), path.get("d"))
    assert rest == ""
    return image.resize((modules * pixels, modules * pixels), Image.Resampling.NEAREST)


def rectangle(image, found):
    x, y, width, back = map(int, found.groups())
    assert width == back
    image.paste(0, (x, y, x + width, y + 1))
    return ""


PAYLOADS = {
    "sample": EMVCO,
    "pix": PIX,
    "one": "a",
    "digits": "1234567890" * 30,
    "capitals": "HTTPS://EXAMPLE.COM/PAY $%*+-./:",
    "thai": "ร้านกาแฟ 125.00 บาท",
    "emoji": "🍜 12.50",
    "consumer": CONSUMER,
    "longest": "".join(chr(0x21 + i * 7 % 94) for i in range(2331)),
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_pictures_are_read(name):
    payload = PAYLOADS[name]
    for pixels in (2, 3, 8):
        png = Image.open(io.BytesIO(draw(payload, "--format=png", f"--module-pixels={pixels}")))
        assert png.format == "PNG" and png.mode in ("1", "P")
        assert read(png) == payload, pixels
        svg = raster(draw(payload, f"--module-pixels={pixels}"), pixels)
        assert svg.tobytes() == png.convert("L").tobytes()
        edge = 4 * pixels
        inner = png.convert("L").point(lambda value: 255 - value).getbbox()
        assert inner == (edge, edge, png.width - edge, png.height - edge)  # the quiet zone


def test_text_pictures_are_read():
    for payload in (PIX, EMVCO):
        lines = draw(payload, "--format=text").decode().splitlines()
        image = Image.new("L", (len(lines[0]), 2 * len(lines)), 255)
        for row, line in enumerate(lines):
            assert len(line) == image.width
            for column, character in enumerate(line):
                half = " ▀▄█".index(character)
                image.putpixel((column, 2 * row), 0 if half & 1 else 255)
                image.putpixel((column, 2 * row + 1), 0 if half & 2 else 255)
        assert read(image.resize((image.width * 4, image.height * 4),
                                 Image.Resampling.NEAREST)) == payload


def test_titles():
    svg = draw("x", "--title=Pay <12.50> & \"go\"")
    assert raster(svg, 8) is not None
    root = xml.etree.ElementTree.fromstring(svg)
    assert root[0].text == 'Pay <12.50> & "go"'


def test_pictures_have_limits():
    for words, stdin, message in (
        (["-"], "x" * 2332, "2331"),
        (["-"], "", "no text"),
        (["-", "--format=png", "--module-pixels=32"], "x" * 2331, "2048"),
        (["-"], "x" * 5000, "longer"),
    ):
        result = run_tael("qr", "image", *words, stdin=stdin)
        assert result.returncode == 1 and message in result.stderr and not result.stdout, result


def on_a_terminal(*words):
    """Exit status and output of a command whose standard output is a terminal."""
    leader, follower = pty.openpty()
    process = subprocess.Popen([PROGRAM, *words], stdout=follower, stderr=follower,
                               stdin=subprocess.DEVNULL,
                               env={**without_tael_settings(), "TERM": "xterm"})
    os.close(follower)
    output = b""
    try:
        while select.select([leader], [], [], 20)[0]:
            output += os.read(leader, 65536)
    except OSError:
        pass  # closed by the end of the process
    os.close(leader)
    return process.wait(20), output.decode()


def test_a_terminal_gets_text():
    status, output = on_a_terminal("qr", "image", "hello")
    assert status == 0 and "█▀▀▀▀▀█" in output and "\x1b[0;30;107m" in output
    status, output = on_a_terminal("qr", "image", "hello", "--format=png")
    assert status == 2 and "terminal" in output
