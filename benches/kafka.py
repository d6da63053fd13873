#!/usr/bin/env python3
"""Kafka alone: nornplan against the same admin calls of raw librdkafka, in batches of the same size, in the same run.

    make infra && . infra/run/env && cargo build --release && PYTHON benches/kafka.py [APPS]

PYTHON has confluent-kafka, which is librdkafka for Python; `make bench` fetches it. The broker should have nothing else on
it: all ACLs are read at once.

An app here is a user, three topics, and the ACLs of one prefix, of groups and of transactional ids; 1,000 apps make 3,000
topics and 11,000 ACLs. nornplan reads first what is there, reads each object again before it writes it, waits until what
it wrote can be seen, proves each new password by signing in, and its state and secrets (a file for each app) are on disk
when it ends. The raw client does none of that: it is the floor. How long as many sign-ins take by themselves, as many at
once as nornplan has, is told apart.
"""
import os
import pathlib
import shutil
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from confluent_kafka import TopicCollection
from confluent_kafka.admin import (
    AclBinding, AclBindingFilter, AclOperation, AclPermissionType, AdminClient, AlterConfigOpType, ConfigEntry,
    ConfigResource, NewTopic, ResourcePatternType, ResourceType, ScramCredentialInfo, ScramMechanism,
    UserScramCredentialDeletion, UserScramCredentialUpsertion,
)

from binary import by_nornplan, measured

TOPICS = ("a", "b", "c")
TOPICS_AT_ONCE = 1000
USERS_AT_ONCE = 500
ACLS_AT_ONCE = 5000
# As nornplan has.
SIGN_INS_AT_ONCE = 8
ITERATIONS = 4096
RETENTION = "604800000"
SECONDS = 120
ANYTHING = (ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY)


def client(user=None, password=None):
    return AdminClient({
        "bootstrap.servers": os.environ.get("NORNPLAN_KAFKA_BROKERS", "127.0.0.1:19092"),
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": user or os.environ.get("NORNPLAN_KAFKA_USER", "admin"),
        "sasl.password": password or os.environ["NORNPLAN_KAFKA_PASSWORD"],
        "log_level": 2,
    })


def batches(items, size):
    items = list(items)
    return [items[start : start + size] for start in range(0, len(items), size)]


def wait(futures):
    """The results; what failed ends the bench."""
    return [future.result(SECONDS) for future in futures.values()]


class Raw:
    """Apps by raw calls."""

    def __init__(self, apps):
        self.admin = client()
        self.apps = apps
        self.topics = [f"{app}.{topic}" for app in apps for topic in TOPICS]
        self.bindings = []

    def take_acls_of(self, app):
        """What nornplan gives an app is given to each of these."""
        mine = AclBindingFilter(*ANYTHING[:3], f"User:{app}", *ANYTHING[4:])
        found = self.admin.describe_acls(mine).result(SECONDS)
        renamed = lambda acl, other: AclBinding(
            acl.restype, acl.name.replace(app, other), acl.resource_pattern_type, f"User:{other}", acl.host,
            acl.operation, acl.permission_type,
        )
        self.bindings = [renamed(acl, other) for other in self.apps for acl in found]
        return len(found)

    def make(self):
        for names in batches(self.topics, TOPICS_AT_ONCE):
            config = lambda name: {"retention.ms": RETENTION} if name.endswith(".a") else {}
            wait(self.admin.create_topics([NewTopic(name, 1, 1, config=config(name)) for name in names]))
        credential = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, ITERATIONS)
        for names in batches(self.apps, USERS_AT_ONCE):
            wait(self.admin.alter_user_scram_credentials(
                [UserScramCredentialUpsertion(name, credential, b"x" * 32) for name in names]))
        for acls in batches(self.bindings, ACLS_AT_ONCE):
            wait(self.admin.create_acls(acls))

    def read(self):
        self.admin.describe_cluster(include_authorized_operations=True).result(SECONDS)
        wait(self.admin.describe_topics(TopicCollection(self.topics)))
        for names in batches(self.topics, TOPICS_AT_ONCE):
            wait(self.admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, name) for name in names]))
        self.admin.describe_acls(AclBindingFilter(*ANYTHING)).result(SECONDS)
        wait(self.admin.describe_user_scram_credentials(self.apps))

    def sign_in(self):
        def one(name):
            signed_in = client(name, "x" * 32)
            signed_in.describe_cluster().result(SECONDS)

        with ThreadPoolExecutor(SIGN_INS_AT_ONCE) as threads:
            list(threads.map(one, self.apps))

    def set_retention(self, value):
        entry = lambda: ConfigEntry("retention.ms", value, incremental_operation=AlterConfigOpType.SET)
        for names in batches((name for name in self.topics if name.endswith(".a")), TOPICS_AT_ONCE):
            wait(self.admin.incremental_alter_configs(
                [ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=[entry()]) for name in names]))

    def one_acl_each(self):
        return self.bindings[:: max(1, len(self.bindings) // len(self.apps))]

    def drift(self):
        """A config and an ACL of each app."""
        self.set_retention("1000")
        exactly = lambda acl: AclBindingFilter(
            acl.restype, acl.name, acl.resource_pattern_type, acl.principal, acl.host, acl.operation, acl.permission_type)
        for acls in batches(self.one_acl_each(), ACLS_AT_ONCE):
            wait(self.admin.delete_acls([exactly(acl) for acl in acls]))

    def repair(self):
        self.set_retention(RETENTION)
        for acls in batches(self.one_acl_each(), ACLS_AT_ONCE):
            wait(self.admin.create_acls(acls))

    def unmake(self):
        all_of = lambda app: AclBindingFilter(*ANYTHING[:3], f"User:{app}", *ANYTHING[4:])
        for names in batches(self.apps, USERS_AT_ONCE):
            wait(self.admin.delete_acls([all_of(name) for name in names]))
        for names in batches(self.apps, USERS_AT_ONCE):
            gone = [UserScramCredentialDeletion(name, ScramMechanism.SCRAM_SHA_512) for name in names]
            wait(self.admin.alter_user_scram_credentials(gone))
        for names in batches(self.topics, TOPICS_AT_ONCE):
            wait(self.admin.delete_topics(names))


def timed(work):
    before = time.perf_counter()
    work()
    return time.perf_counter() - before


def report(what, ours, raw, of=""):
    seconds, memory = ours
    print(f"{what:40} nornplan {seconds:7.3f} s {memory:5.0f} MiB   raw {raw:7.3f} s   ratio {seconds / raw:6.2f}{of}", flush=True)


def declare(root, app):
    (root / "specs" / f"{app}.toml").write_text(
        f'app = "{app}"\n[services.events]\nprefix = "{app}."\n'
        f'topics = [{{ name = "{app}.a", config = {{ "retention.ms" = "7d" }} }}, "{app}.b", "{app}.c"]\n')


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    apps, names = [[f"bench{kind}{n:05}" for n in range(count)] for kind in ("app", "raw")]
    directory = tempfile.mkdtemp(prefix="nornplan-bench")
    root = pathlib.Path(directory)
    (root / "specs").mkdir()
    (root / "nornplan.toml").write_text('specs = "specs"\n')
    everything = ("destroy", "--all", "--auto-approve", "--allow-destroy", "all", "--allow-interrupt", "all")
    raw, ours = Raw(names), Raw(apps)
    made = True
    try:
        declare(root, apps[0])
        by_nornplan(root, "apply", "--auto-approve")
        each = raw.take_acls_of(apps[0])
        ours.take_acls_of(apps[0])
        # One after the other, as all ACLs are read at once. A first time warms the broker's code up.
        raw.make(), raw.read(), raw.unmake()
        make = timed(raw.make)
        read = statistics.median(timed(raw.read) for _ in range(3))
        sign_in = timed(raw.sign_in)
        raw.drift()
        repair = timed(raw.repair)
        unmake = timed(raw.unmake)
        made = False

        for app in apps:
            declare(root, app)
        print(f"{count} apps: {count} users, {len(raw.topics)} topics, {count * each} ACLs", flush=True)
        report("made", measured(root, "apply", "--auto-approve"), make, f" (as many sign-ins: {sign_in:.3f} s)")
        plans = sorted(measured(root, "plan", "--detailed-exitcode") for _ in range(3))[1]
        report("read, nothing to do", plans, read)
        report("read, and all signed in (drift)", measured(root, "drift"), read + sign_in)
        ours.drift()
        report("a config and an ACL of each repaired", measured(root, "apply", "--auto-approve"), repair)
        by_nornplan(root, "plan", "--detailed-exitcode")
        report("destroyed", measured(root, *everything), unmake)
    finally:
        if made:
            raw.unmake()
        if (root / "state" / "default.json").exists():
            by_nornplan(root, *everything)
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
