"""The vault's keys, as an operator rotates them, and cards that have to be readable all the while."""

import concurrent.futures
import re
import sqlite3

from kit.client import Http
from kit.rotation import Rotation
from kit.server import operators_in

ADMIN = "--admin-listen=127.0.0.1:0"
PAYMENT = {"amount": "1000", "currency": "usd", "confirm": "true"}


def vault_url(server):
    """The operators' address of the process with the vault."""
    of = getattr(server, "processes", None)
    if of is not None:
        return of["vault"].operators
    if not server.cluster:
        return operators_in(server.output_path)
    found = re.search(r"^vault: .*operators (http://)?(\S+?),?$", server.output_path.read_text(),
                      re.MULTILINE)
    return f"http://{found.group(2)}"


_keys = Rotation("vault", vault_url)
tael_vault, status, rotate, wait_for_end = _keys.tael, _keys.status, _keys.rotate, _keys.wait_for_end


def number(index):
    """A card number of its own for each index."""
    digits = f"453201{index:09}"
    check = sum(sum(divmod(int(digit) * (2 - at % 2), 10)) for at, digit in enumerate(digits))
    return f"{digits}{-check % 10}"


def vault_file(server):
    """Where the cards are."""
    root = server.network_data if server.cluster else server.root
    return root / "vault" / "vault.db"


class Cards:
    """Saved cards, and what they have to stay."""

    def __init__(self, server):
        self.server = server
        self.http = Http(server, validate=False)
        self.saved = []  # (index, payment method, fingerprint)

    def _add(self, index, http=None):
        answer = (http or self.http).post("/v1/payment_methods", {
            "type": "card", "card[number]": number(index), "card[exp_month]": "12",
            "card[exp_year]": "2034", "card[cvc]": "123"})
        assert answer.status_code == 200, answer.text
        method = answer.json()
        return index, method["id"], method["card"]["fingerprint"]

    def add(self, count):
        first = len(self.saved)
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            self.saved += pool.map(self._add, range(first, first + count))

    def pay(self, index, http=None):
        answer = (http or self.http).post("/v1/payment_intents",
                                          {**PAYMENT, "payment_method": self.saved[index][1]})
        assert answer.status_code == 200 and answer.json()["status"] == "succeeded", answer.text

    def check(self, server=None, step=1):
        """Each can be paid with, and is known when it comes again."""
        http = Http(server or self.server, validate=False)
        for index, _, fingerprint in self.saved[::step]:
            self.pay(index, http)
        assert self._add(0, http)[2] == self.saved[0][2]

    def tokens(self, server=None):
        """Tokens in a vault that does not run: how many, and the keys that they are under."""
        with sqlite3.connect(vault_file(server or self.server)) as database:
            keys = [key for (key,) in database.execute("SELECT key_id FROM card")]
            names = [name for (name,) in database.execute("SELECT id FROM data_key")]
        database.close()
        return len(keys), set(keys), set(names)


def key_files(folder):
    return sorted(path.name for path in (folder / "vault").iterdir() if "key" in path.name)


def damage(folder, numbers=None):
    """The cards of these places in the order of their ids, or all, of a vault that does not run."""
    with sqlite3.connect(folder / "vault" / "vault.db") as database:
        tokens = [token for (token,) in database.execute("SELECT id FROM card ORDER BY id")]
        tokens = tokens if numbers is None else [tokens[number] for number in numbers]
        database.executemany("UPDATE card SET sealed = '00' WHERE id = ?",
                             [(token,) for token in tokens])
    database.close()
    return tokens
