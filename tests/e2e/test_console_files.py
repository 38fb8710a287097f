"""The files of the merchant console: how they are served, and what they repeat of other files."""

import re
import shutil
import subprocess

import pytest
import requests

from kit.chromium import contrast
from kit.client import restricted_key
from kit.server import ROOT, run_tael

ASSETS = ROOT / "src" / "service" / "console" / "assets"


def test_how_files_are_served(server):
    url = f"{server.url}/console/"
    answer = requests.get(url, timeout=60)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = dict(part.strip().split(" ", 1) for part in
                  answer.headers["Content-Security-Policy"].split(";"))
    assert policy == {
        "default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "connect-src": "'self'",
        "img-src": "'self' data:", "base-uri": "'none'", "form-action": "'none'",
        "frame-ancestors": "'none'", "require-trusted-types-for": "'script'", "trusted-types": "'none'"}
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert not any(name.startswith("Access-Control") for name in answer.headers)
    assert "Set-Cookie" not in answer.headers
    assert not re.search(r"<style|style=|<script(?! type=\"module\" src=)|\son\w+=", answer.text)
    again = requests.get(url, headers={"If-None-Match": answer.headers["ETag"]}, timeout=60)
    assert (again.status_code, again.content) == (304, b"")
    head = requests.head(url, timeout=60)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == str(len(answer.content))
    assert requests.get(url + "nothing.js", timeout=60).status_code == 404
    assert "There is no such page" in requests.get(url + "nothing", timeout=60).text
    assert requests.post(url, timeout=60).status_code == 405
    led = requests.get(url[:-1], timeout=60)
    assert (led.status_code, led.url) == (200, url)
    ids = {one.headers["Request-Id"] for one in (answer, again, head, led)}
    assert len(ids) == 4 and all(re.fullmatch(r"req_[0-9A-Za-z]{22}", one) for one in ids)
    counted = sum(int(value) for one in server.metrics_urls() for value in re.findall(
        r'^tael_console_answers_total{status="304"} (\d+)$', requests.get(one + "/metrics", timeout=60).text, re.M))
    assert counted > 0


def test_it_is_told_and_can_be_switched_off(make_server):
    on = make_server()
    (told,) = re.findall(r"^console: (.*)/console/$", on.output_path.read_text(), re.M)
    assert told in (on.url, on.direct_url)
    off = make_server("--console=off")
    assert "console:" not in off.output_path.read_text()
    for path in ("/console", "/console/", "/console/main.js"):
        answer = requests.get(off.direct_url + path, timeout=60)
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/json")
    assert "--console" in run_tael("server", "--help").stdout


@pytest.mark.parametrize("path", sorted(ASSETS.glob("*.js")), ids=lambda path: path.name)
def test_scripts_are_whole(server, path, tmp_path):
    """Each can be read, is served as it is, and so is whatever it imports."""
    module = tmp_path / f"{path.stem}.mjs"
    shutil.copy(path, module)
    subprocess.run(["node", "--check", str(module)], check=True, timeout=60)
    text = path.read_text()
    assert requests.get(f"{server.url}/console/{path.name}", timeout=60).text == text
    for names, file in re.findall(r"^import {([^}]*)}\s*from '\./(\w+\.js)'", text, re.M):
        exported = re.findall(r"^export (?:async )?(?:function|const|class) (\w+)",
                              (ASSETS / file).read_text(), re.M)
        missing = {name.split(" as ")[0].strip() for name in names.split(",")} - {*exported, ""}
        assert missing == set(), (file, missing)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function", text)


def test_every_list_can_be_saved():
    """Each page that is a list names its CSV file."""
    found = {title: "csv: " in text for path in ASSETS.glob("*.js") for title, text in re.findall(
        r"listPage\(ctx, {\n    title: '([^']*)'(.*?)\n  }\);", path.read_text(), re.S)}
    assert len(found) > 15 and all(found.values()), found


def test_decimals_are_the_programs_own():
    """The currencies of format.js against the table of base/money.c."""
    text = (ASSETS / "format.js").read_text()
    api = dict(re.findall(r"(\w{3}): (\d)", re.search(r"API_EXPONENTS = {(.*?)}", text, re.S).group(1)))
    listed = re.findall(r"\b\w{3}\b", " ".join(
        re.findall(r"'([^']*)'", re.search(r"ALL = \((.*?)\)\.split", text, re.S).group(1))))
    shown = dict(re.findall(r"(\w{3}): (\d)", re.search(r"SHOWN_EXPONENTS = {(.*?)}", text).group(1)))
    table = re.findall(r"X\((\w+), (\w+), \d+, (\d), (\d), \d+\)",
                       (ROOT / "src" / "base" / "money.c").read_text())
    assert len(table) > 150
    assert listed == [code for _, code, _, _ in table]
    for _, code, exponent, api_exponent in table:
        assert api.get(code, "2") == api_exponent, code
        assert shown.get(code, api_exponent) == min(exponent, api_exponent), code


def test_payers_pages_have_its_colours():
    colours = [dict(re.findall(r"--([\w-]+):\s*(#\w+)", scheme)) for scheme in
               re.split(r"@media \(prefers-color-scheme: dark\)", (ASSETS / "console.css").read_text())[:2]]
    page = (ROOT / "src" / "service" / "payments" / "page_html.c").read_text()
    payers = [dict(re.findall(r"--([\w-]+):(#\w+)", scheme)) for scheme in
              page.split("@media(prefers-color-scheme:dark)")[:2]]
    assert len(payers[0]) == len(payers[1]) == 10
    for here, there in zip(payers, colours):
        assert here.items() <= there.items()
        # Edges of fields: 1.4.11.
        assert contrast(there["edge"], there["page"]) >= 3 and contrast(there["edge"], there["back"]) >= 3


def test_the_roles_are_those_of_the_manual(server):
    text = (ASSETS / "keys.js").read_text()
    roles = {name: re.findall(r"'(\w+:\w+)'", given) for name, given in
             re.findall(r"^  (\w+): \[(.*?)\]", text, re.S | re.M)}
    manual = {name: re.findall(r"`(\w+:\w+)`", given) for name, given in
              re.findall(r"^\| (\w+) \| (`.*) \|$", (ROOT / "docs" / "console.md").read_text(), re.M)}
    assert roles == manual and len(roles) == 4
    for name, given in roles.items():
        assert restricted_key(server, ",".join(given), name).startswith("rk_test_")
