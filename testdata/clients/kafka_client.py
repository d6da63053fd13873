"""A client of Kafka's that shares no code with nornplan's: takes commands as lines of JSON, and answers each by one.

It sends any request that the broker knows, and tells what came back. Where kafka-python has no form of a request, it is
taken from the jars of the broker itself, whose directory is KAFKA_JARS.
"""

import base64
import glob
import hashlib
import hmac
import io
import json
import logging
import os
import re
import socket
import struct
import sys
import time
import uuid
import zipfile

import kafka.errors
import kafka.protocol.admin
import kafka.protocol.consumer
import kafka.protocol.metadata
import kafka.protocol.producer
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import UserScramCredentialDeletion, UserScramCredentialUpsertion
from kafka.protocol import api_data
from kafka.protocol.api_message import ApiMessage
from kafka.record.memory_records import MemoryRecordsBuilder
from kafka.structs import OffsetAndMetadata

logging.disable(logging.CRITICAL)
PATIENCE = 20

RESOURCES = {2: "topic", 3: "group", 4: "cluster", 5: "transactional_id"}
PATTERNS = {3: "literal", 4: "prefixed"}
OPERATIONS = {2: "all", 3: "read", 4: "write", 5: "create", 6: "delete", 7: "alter", 8: "describe", 9: "cluster_action",
              10: "describe_configs", 11: "alter_configs", 12: "idempotent_write"}
PERMISSIONS = {2: "deny", 3: "allow"}
MECHANISMS = {1: "SCRAM-SHA-256", 2: "SCRAM-SHA-512"}
OF_THE_TOPIC = 1


def of_the_broker():
    """The forms of all requests and responses, as the broker's jars have them."""
    found = {}
    for jar in glob.glob(os.path.join(os.environ["KAFKA_JARS"], "kafka-clients-*.jar")):
        with zipfile.ZipFile(jar) as archive:
            for path in archive.namelist():
                if path.startswith("common/message/") and path.endswith(".json"):
                    text = archive.read(path).decode()
                    found[os.path.basename(path)[:-5]] = json.loads(re.sub(r"(?m)^\s*//.*$", "", text))
    return found


FORMS = of_the_broker()
theirs = api_data.load_json


def load_json(name, package=None):
    try:
        return theirs(name, package)
    except FileNotFoundError:
        form = FORMS[name]
        common = {one["name"]: one["fields"] for one in form.get("commonStructs", [])}
        name_structs(form["fields"], common)
        return form


def name_structs(fields, common):
    for field in fields:
        inner = field["type"].removeprefix("[]")
        if inner in common:
            field.setdefault("fields", common[inner])
        name_structs(field.get("fields", []), common)


api_data.load_json = load_json


def request_class(api):
    """What kafka-python has of a request, else what its form makes."""
    name = api + "Request"
    for module in (kafka.protocol.admin, kafka.protocol.consumer, kafka.protocol.metadata, kafka.protocol.producer):
        if hasattr(module, name):
            return getattr(module, name)
    made = type(ApiMessage)(name, (ApiMessage,), {})
    MADE[name] = (made, type(ApiMessage)(api + "Response", (ApiMessage,), {}))
    setattr(kafka.protocol.admin, name, made)
    return made


# Responses are known by weak references only.
MADE = {}


def fill(struct, body):
    """The fields of a request, from JSON."""
    known = {field.name: field for field in struct._fields}
    unknown = set(body) - set(known)
    if unknown:
        raise ValueError("no fields called %s; there are %s" % (sorted(unknown), sorted(known)))
    return {name: value_of(known[name], value) for name, value in body.items()}


def value_of(field, value):
    if value is None:
        return None
    if field.is_struct_array():
        return [field.data_class(**fill(field.array_of, one)) for one in value]
    if field.is_struct():
        return field.data_class(**fill(field, value))
    inner = (field.type_str or "").removeprefix("[]")
    if isinstance(value, list):
        return [uuid.UUID(one) if inner == "uuid" else one for one in value]
    if inner == "uuid":
        return uuid.UUID(value)
    if inner == "records":
        batch = MemoryRecordsBuilder(2, 0, 100000)
        batch.append(None, None, value.encode())
        batch.close()
        return batch.buffer()
    return value.encode() if inner == "bytes" else value


def codes_in(answer):
    """All error codes of an answer, each once."""
    found = set()
    if isinstance(answer, dict):
        for name, value in answer.items():
            if name.endswith("error_code") and isinstance(value, int):
                found.add(value)
            else:
                found |= codes_in(value)
    elif isinstance(answer, list):
        for one in answer:
            found |= codes_in(one)
    return found


def knock(address, user, password, mechanism="SCRAM-SHA-512"):
    """Tries to sign in, and tells the broker's code and words. By hand: kafka-python tries again for as long as it may,
    and says at the end that there was no time."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as broker:
        def call(api, version, body):
            head = struct.pack(">hhih", api, version, 0, -1)
            broker.sendall(struct.pack(">i", len(head + body)) + head + body)
            answer = broker.makefile("rb", buffering=0)
            length = answer.read(4)
            return io.BytesIO(answer.read(struct.unpack(">i", length)[0])[4:]) if length else None

        def text(answer):
            length = struct.unpack(">h", answer.read(2))[0]
            return answer.read(max(length, 0)).decode()

        def authenticate(token):
            answer = call(36, 0, struct.pack(">i", len(token)) + token)
            code = struct.unpack(">h", answer.read(2))[0]
            said = text(answer)
            return code, said, answer.read()[4:].decode()

        if user is None:
            answer = call(3, 0, struct.pack(">i", 0))
            return {"code": None} if answer is None else {"code": 0}
        answer = call(17, 1, struct.pack(">h", len(mechanism)) + mechanism.encode())
        code = struct.unpack(">h", answer.read(2))[0]
        if code:
            return {"code": code}
        if mechanism == "PLAIN":
            code, said, _ = authenticate(b"\0" + user.encode() + b"\0" + password.encode())
            return {"code": code, "said": said}
        kind = "sha512" if mechanism.endswith("512") else "sha256"
        first = "n=%s,r=%s" % (user.replace("=", "=3D").replace(",", "=2C"), uuid.uuid4().hex)
        code, said, challenge = authenticate(("n,," + first).encode())
        if code:
            return {"code": code, "said": said}
        fields = dict(field.split("=", 1) for field in challenge.split(","))
        last = "c=biws,r=" + fields["r"]
        salted = hashlib.pbkdf2_hmac(kind, password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
        key = hmac.digest(salted, b"Client Key", kind)
        signed = hmac.digest(hashlib.new(kind, key).digest(), f"{first},{challenge},{last}".encode(), kind)
        proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signed))).decode()
        code, said, _ = authenticate(f"{last},p={proof}".encode())
        return {"code": code, "said": said}


class Session:
    """Somebody who has signed in."""

    def __init__(self, brokers, user, password, mechanism="SCRAM-SHA-512"):
        self.options = {"bootstrap_servers": brokers}
        if user is not None:
            self.options |= {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": mechanism,
                             "sasl_plain_username": user, "sasl_plain_password": password}
        self.admin = KafkaAdminClient(bootstrap_timeout_ms=PATIENCE * 1000, **self.options)
        self.manager = self.admin._manager
        self.consumers = {}

    def send(self, api, body, version=None, patience=None, node=None):
        kind = request_class(api)
        request = kind(**fill(kind._struct, body))
        if version is not None:
            request.API_VERSION = version

        async def ask():
            return await self.manager.send(request, node, patience)

        response = self.manager.run(ask)
        answer = {} if response is None else response.to_dict()
        return {"codes": sorted(codes_in(answer)), "answer": answer}

    def read(self, prefix):
        """All that there is whose name, or whose principal's name, starts so. A broker that died is still asked for a
        moment: then it is tried again."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return self.read_once(prefix)
            except kafka.errors.KafkaConnectionError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)

    def read_once(self, prefix):
        metadata = self.send("Metadata", {"topics": None})["answer"]
        topics = {one["name"]: {"partitions": len(one["partitions"]), "config": {},
                                "replication": sorted({len(part["replica_nodes"]) for part in one["partitions"]})}
                  for one in metadata["topics"] if one["name"].startswith(prefix)}
        wanted = [{"resource_type": 2, "resource_name": name, "configuration_keys": None} for name in topics]
        if wanted:
            described = self.send("DescribeConfigs", {"resources": wanted, "include_synonyms": False})["answer"]
            for one in described["results"]:
                set_here = [entry for entry in one["configs"] if entry["config_source"] == OF_THE_TOPIC]
                topics[one["resource_name"]]["config"] = {entry["name"]: entry["value"] for entry in set_here}
        everything = {"resource_type_filter": 1, "resource_name_filter": None, "pattern_type_filter": 1,
                      "principal_filter": None, "host_filter": None, "operation": 1, "permission_type": 1}
        described = self.send("DescribeAcls", everything)
        if described["codes"] != [0]:
            raise kafka.errors.for_code(described["codes"][-1])
        acls = [" ".join([PERMISSIONS[acl["permission_type"]], OPERATIONS[acl["operation"]],
                          RESOURCES[one["resource_type"]], PATTERNS[one["pattern_type"]], one["resource_name"],
                          acl["principal"], acl["host"]])
                for one in described["answer"]["resources"] for acl in one["acls"]
                if one["resource_name"].startswith(prefix) or acl["principal"].startswith("User:" + prefix)]
        described = self.send("DescribeUserScramCredentials", {"users": None})["answer"]
        users = {one["user"]: {MECHANISMS[info["mechanism"]]: info["iterations"] for info in one["credential_infos"]}
                 for one in described["results"] if one["user"].startswith(prefix)}
        return {"topics": topics, "acls": sorted(acls), "users": users}

    def set_password(self, user, password, mechanism="SCRAM-SHA-512", iterations=4096):
        change = UserScramCredentialUpsertion(user, mechanism, password, iterations=iterations)
        return {"answer": self.admin.alter_user_scram_credentials([change])}

    def remove_password(self, user, mechanism="SCRAM-SHA-512"):
        return {"answer": self.admin.alter_user_scram_credentials([UserScramCredentialDeletion(user, mechanism)])}

    def produce(self, topic, values, idempotent=True, transactional_id=None, abort=False):
        options = {"transactional_id": transactional_id} if transactional_id else {}
        producer = KafkaProducer(acks="all", enable_idempotence=idempotent, max_block_ms=PATIENCE * 1000,
                                 **options, **self.options)
        try:
            if transactional_id:
                producer.init_transactions()
                producer.begin_transaction()
            offsets = [producer.send(topic, value.encode()).get(PATIENCE).offset for value in values]
            if transactional_id and abort:
                producer.abort_transaction()
            elif transactional_id:
                producer.commit_transaction()
            return {"offsets": offsets}
        finally:
            producer.close(timeout=1)

    def consume(self, topic, group, count, keep=None, transactional_id=None):
        """Reads so many messages in a group and commits; with `keep` it stays a member under that name. With a
        transactional id the offsets are committed in a transaction."""
        consumer = KafkaConsumer(topic, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False,
                                 isolation_level="read_committed", consumer_timeout_ms=PATIENCE * 1000, **self.options)
        values, end = [], time.monotonic() + PATIENCE
        try:
            while len(values) < count and time.monotonic() < end:
                for records in consumer.poll(timeout_ms=500).values():
                    values += [record.value.decode() for record in records]
            offsets = {part: consumer.position(part) for part in consumer.assignment()}
            if transactional_id:
                self.commit_in_transaction(transactional_id, consumer, offsets)
            else:
                consumer.commit()
            committed = {part.partition: consumer.committed(part) for part in consumer.assignment()}
            return {"values": values, "committed": committed}
        finally:
            if keep:
                self.consumers[keep] = consumer
            else:
                consumer.close(autocommit=False)

    def commit_in_transaction(self, transactional_id, consumer, offsets):
        producer = KafkaProducer(transactional_id=transactional_id, max_block_ms=PATIENCE * 1000, **self.options)
        producer.init_transactions()
        producer.begin_transaction()
        wanted = {part: OffsetAndMetadata(offset, "", -1) for part, offset in offsets.items()}
        producer.send_offsets_to_transaction(wanted, consumer.group_metadata())
        producer.commit_transaction()
        producer.close(timeout=1)

    def leave(self, keep):
        self.consumers.pop(keep).close(autocommit=False)
        return {}

    def read_partition(self, topic, count):
        """Without a group."""
        consumer = KafkaConsumer(group_id=None, auto_offset_reset="earliest", **self.options)
        consumer.assign([TopicPartition(topic, 0)])
        values, end = [], time.monotonic() + PATIENCE
        try:
            while len(values) < count and time.monotonic() < end:
                for records in consumer.poll(timeout_ms=500).values():
                    values += [record.value.decode() for record in records]
            return {"values": values}
        finally:
            consumer.close()

    def apis(self):
        """What the broker says that it serves, by name."""
        keys = self.manager.broker_version_data.api_versions
        names = {form["apiKey"]: name.removesuffix("Request") for name, form in FORMS.items() if form["type"] == "request"}
        return {"names": sorted(names.get(key, str(key)) for key in keys)}


SESSIONS = {}


def run(command):
    what, who = command.pop("do"), command.pop("as", None)
    if what == "sign_in":
        old = SESSIONS.pop(who, None)
        if old:
            old.admin.close()
        SESSIONS[who] = Session(**command)
        return {}
    if what == "knock":
        return knock(**command)
    return getattr(SESSIONS[who], what)(**command)


def main():
    for line in sys.stdin:
        try:
            answer = run(json.loads(line))
        except kafka.errors.KafkaError as error:
            answer = {"error": type(error).__name__, "code": getattr(error, "errno", None), "text": str(error)[:300]}
        except Exception as error:  # told to the test, which fails
            answer = {"broken": "%s: %s" % (type(error).__name__, error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
