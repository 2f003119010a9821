"""§2, §4, §5: keys, the configuration, key slots."""

import json

import argon2.low_level
import pyrage
from mnemonic import Mnemonic

from .basics import CHUNK, PARCEL, Refused, derive, keyed, need


class Keys:
    def __init__(self, master):
        self.master = master
        self.id = derive("tintype v1 chunk id", master)
        self.digest = derive("tintype v1 file digest", master)
        self.config = derive("tintype v1 config", master)

    def epoch(self, number):
        return derive("tintype v1 epoch", self.master + number.to_bytes(4, "little"))

    def frame_id(self, kind, raw):
        """§7: chunks and parcels share the id key; lists and pages have one each."""
        key = self.id if kind in (CHUNK, PARCEL) else keyed(self.id, bytes([kind]))
        return keyed(key, raw)


def key_encryption_key(slot, passphrase, words):
    """None where the slot is of a kind for which the caller gave no secret."""
    if slot["kind"] == "passphrase" and passphrase is not None:
        kdf = slot["kdf"]
        need(kdf["name"] == "argon2id", f"key derivation {kdf['name']} is not known")
        need(kdf["memory_kib"] <= 4_194_304 and kdf["passes"] <= 64 and kdf["lanes"] <= 64,
             "key slot asks for too much work")
        return argon2.low_level.hash_secret_raw(
            passphrase, bytes.fromhex(kdf["salt"]), time_cost=kdf["passes"],
            memory_cost=kdf["memory_kib"], parallelism=kdf["lanes"], hash_len=32,
            type=argon2.low_level.Type.ID, version=0x13)
    if slot["kind"] == "recovery" and words is not None:
        entropy = bytes(Mnemonic("english").to_entropy(words.split()))
        return derive("tintype v1 recovery", entropy + bytes.fromhex(slot["salt"]))
    need(slot["kind"] in ("passphrase", "recovery", "age"), f"kind {slot['kind']!r} is not known")
    return None


def open_age(slot, identity):
    """The plaintext of an age slot; None where it is for somebody else."""
    file = bytes.fromhex(slot["wrapped"])
    need(len(file) <= 4096 and file.startswith(b"age-encryption.org/v1\n"), "holds no age file")
    try:
        master = pyrage.decrypt(file, [pyrage.x25519.Identity.from_str(identity)])
    except pyrage.DecryptError as error:
        if "No matching keys" in str(error):
            return None
        raise Refused(f"age file is damaged: {error}") from error
    need(len(master) == 32, "age file does not hold a key")
    return master


FIELDS = {"passphrase": ("kind", "kdf"), "recovery": ("kind", "salt"), "age": ("kind", "recipient")}


def slot_mac(name, slot, keys):
    """§5: over the name and the compact JSON, fields in the order of the document."""
    need(slot["kind"] in FIELDS, f"kind {slot['kind']!r} is not known")
    fields = (*FIELDS[slot["kind"]], "label", "created", "wrapped")
    plain = {field: slot[field] for field in fields}
    if "kdf" in plain:
        plain["kdf"] = {field: slot["kdf"][field] for field in
                        ("name", "memory_kib", "passes", "lanes", "salt")}
    text = json.dumps(plain, separators=(",", ":"), ensure_ascii=False)
    return keyed(keys.config, (name + text).encode())


def check_config(config):
    need(config.get("tintype") == "repository", "config: not a repository")
    need(config.get("version") == 1, f"config: version {config.get('version')} is not known")
    for operation in ("read", "check"):
        unknown = config["features"].get(operation, [])
        need(not unknown, f"config: needs the features {', '.join(unknown)} to {operation}")


def config_mac(config, keys):
    plain = {name: config[name] for name in
             ("tintype", "version", "id", "created", "single_writer")}
    plain["features"] = {name: config["features"][name] for name in
                         ("read", "write", "delete", "check")}
    text = json.dumps(plain, separators=(",", ":"), ensure_ascii=False)
    return keyed(keys.config, text.encode())
