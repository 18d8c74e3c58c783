#!/usr/bin/env python3
"""A real single-node Kafka broker (KRaft) on 127.0.0.1 for tests: no Docker, no root, standard library only.

  kafka.py fetch   [--version V]                 download the broker's jars once (needs mvn)
  kafka.py start   --dir D [--version V] [--property K=V ...] [--sasl] [--ssl]
                   [--transaction-version N] [--owner PID]
  kafka.py stop    --dir D                       SIGTERM, waits
  kafka.py kill    --dir D                       SIGKILL: the crash
  kafka.py restart --dir D [--property K=V ...]  same ports, same data; starts a stopped broker too
  kafka.py pause   --dir D / resume --dir D      SIGSTOP / SIGCONT: the broker that hangs
  kafka.py status  --dir D
  kafka.py topic create NAME --dir D [--partitions N] [--config K=V ...]
  kafka.py topic delete NAME --dir D / topic list --dir D
  kafka.py offsets NAME --dir D [--isolation read_committed]     end offset per partition
  kafka.py console-dump NAME --dir D [--isolation read_committed] [--keys] [--timeout-ms N]

`start` returns when the broker answers and writes D/broker.json:
  {"bootstrap": "127.0.0.1:P", "pid": N, "version": "4.2.0",
   "listeners": {"plaintext": "127.0.0.1:P", "sasl": ..., "ssl": ..., "sasl_ssl": ...},
   "sasl": {"user": "weir", "password": "weir-secret", "mechanisms": [...]},
   "ssl": {"ca": FILE, "certificate": FILE, "key": FILE}}
Users of both SCRAM mechanisms and of PLAIN are the same. librdkafka before 2.6.1 (Debian 12 has 2.0.2)
cannot use SCRAM with Kafka 4.x: it repeats the nonce, which 4.x refuses. It can with 3.9, and PLAIN always.
With --owner PID a watcher kills the broker when that process is gone, however it died.

Exit codes: 0 done, 1 failed, 3 the jars or Java are not there (a test may skip itself).
Environment: WEIR_CACHE (default ~/.cache/weir), WEIR_KAFKA_VERSION (default 4.2.0), WEIR_KAFKA_JVM
(extra options, e.g. -Xmx1g), JAVA_HOME. As a module: Broker.start(...) and its methods.
"""

import argparse
import base64
import fcntl
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import uuid

DEFAULT_VERSION = os.environ.get("WEIR_KAFKA_VERSION", "4.2.0")
OLD_PROTOCOL_VERSION = "3.9.2"
SASL_USER = "weir"
SASL_PASSWORD = "weir-secret"
SASL_MECHANISMS = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
READY_SECONDS = 90
STOP_SECONDS = 30
EXIT_UNAVAILABLE = 3

POM = """<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>weir</groupId><artifactId>kafka-for-tests</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{v}</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>{v}</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
"""


class KafkaError(Exception):
    """Something the caller should read; `code` is the exit code."""

    def __init__(self, message, code=1):
        super().__init__(message)
        self.code = code


# ---------------------------------------------------------------------------------------------- jars

def jar_folder(version):
    cache = os.environ.get("WEIR_CACHE") or pathlib.Path.home() / ".cache" / "weir"
    return pathlib.Path(cache) / f"kafka-{version}"


def fetch(version=DEFAULT_VERSION):
    """Downloads the broker and its dependencies unless they are cached; returns the folder."""
    folder = jar_folder(version)
    if folder.is_dir():
        return folder
    if not shutil.which("mvn"):
        raise KafkaError(f"no Kafka {version} in {folder} and no mvn to fetch it", EXIT_UNAVAILABLE)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.parent / f"kafka-{version}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Several tests may ask at once.
        if folder.is_dir():
            return folder
        scratch = folder.with_name(folder.name + ".part")
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        (scratch / "pom.xml").write_text(POM.format(v=version))
        command = ["mvn", "-q", "-B", "-f", str(scratch / "pom.xml"),
                   "dependency:copy-dependencies", f"-DoutputDirectory={scratch}"]
        for attempt in (1, 2, 3):
            done = subprocess.run(command, text=True, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            if done.returncode == 0:
                break
            time.sleep(2 * attempt)
        else:
            raise KafkaError(f"mvn could not fetch Kafka {version}:\n{done.stdout[-3000:]}",
                             EXIT_UNAVAILABLE)
        os.rename(scratch, folder)  # Complete or absent.
    return folder


def java():
    home = os.environ.get("JAVA_HOME")
    found = (str(pathlib.Path(home, "bin", "java")) if home else None) or shutil.which("java")
    if not found or not os.access(found, os.X_OK):
        raise KafkaError("no java (17 or newer) found", EXIT_UNAVAILABLE)
    return found


# --------------------------------------------------------------------------------------------- ports

def free_ports(count):
    """Free ports below the kernel's ephemeral range.

    Not port 0: while the broker is down for a restart, an ephemeral port may go to any outgoing
    connection, and a client that retries it may even connect to itself.
    """
    try:
        lowest = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError):
        lowest = 32768
    low, high = (12000, lowest) if lowest > 16000 else (49152, 65535)
    chosen = []
    while len(chosen) < count:
        port = random.SystemRandom().randrange(low, high)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in chosen:
            chosen.append(port)
    return chosen


# ----------------------------------------------------------------------------- Kafka's wire protocol
# Just enough to ask whether the broker is ready and to manage topics in milliseconds instead of the
# seconds a JVM takes. Non-flexible versions only, spoken by 3.9 and by 4.x.

class Wire:
    def __init__(self, address, timeout=10.0):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def call(self, key, version, body):
        request = struct.pack(">hhi", key, version, 1) + string("weir-tests") + body
        self.socket.sendall(struct.pack(">i", len(request)) + request)
        size = struct.unpack(">i", self.receive(4))[0]
        return Reader(self.receive(size)[4:])

    def receive(self, count):
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise OSError("the broker closed the connection")
            data += piece
        return data

    def metadata(self):
        """{"brokers": n, "topics": {name: {"internal": bool, "leaders": {partition: node}}}}"""
        answer = self.call(3, 1, struct.pack(">i", -1))
        brokers = answer.array(lambda: (answer.int32(), answer.string(), answer.int32(), answer.string()))
        answer.int32()  # controller id
        topics = {}

        def partition():
            error, index, leader = answer.int16(), answer.int32(), answer.int32()
            answer.array(answer.int32)
            answer.array(answer.int32)
            return index, -1 if error == 5 else leader

        def topic():
            answer.int16()
            name, internal = answer.string(), answer.int8() != 0
            topics[name] = {"internal": internal, "leaders": dict(answer.array(partition))}

        answer.array(topic)
        return {"brokers": len(brokers), "topics": topics}

    def create_topic(self, name, partitions, config):
        body = struct.pack(">i", 1) + string(name) + struct.pack(">ihi", partitions, 1, 0)
        body += struct.pack(">i", len(config))
        for key, value in config.items():
            body += string(key) + string(value)
        deadline = time.monotonic() + 60
        while True:
            answer = self.call(19, 2, body + struct.pack(">ib", 30000, 0))
            answer.int32()
            ((_, error, message),) = answer.array(
                lambda: (answer.string(), answer.int16(), answer.string()))
            if not error:
                return
            # 38: on a machine that is short of time the controller takes the broker for gone.
            if error != 38 or time.monotonic() > deadline:
                raise KafkaError(f"creating topic {name}: error {error}: {message}")
            time.sleep(0.5)

    def delete_topic(self, name):
        body = struct.pack(">i", 1) + string(name) + struct.pack(">i", 30000)
        answer = self.call(20, 1, body)
        answer.int32()
        for _, error in answer.array(lambda: (answer.string(), answer.int16())):
            if error:
                raise KafkaError(f"deleting topic {name}: error {error}")

    def end_offsets(self, name, partitions, isolation):
        """Last stable offset with read_committed, else the high watermark, per partition."""
        body = struct.pack(">ibi", -1, 1 if isolation == "read_committed" else 0, 1) + string(name)
        body += struct.pack(">i", len(partitions))
        for partition in partitions:
            body += struct.pack(">iq", partition, -1)
        answer = self.call(2, 2, body)
        answer.int32()
        result = {}

        def partition_answer():
            index, error = answer.int32(), answer.int16()
            answer.int64()
            offset = answer.int64()
            if error:
                raise KafkaError(f"offsets of {name}/{index}: error {error}")
            result[index] = offset

        answer.array(lambda: (answer.string(), answer.array(partition_answer)))
        return result


def string(text):
    data = text.encode()
    return struct.pack(">h", len(data)) + data


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        size = struct.calcsize(form)
        value = struct.unpack_from(form, self.data, self.at)[0]
        self.at += size
        return value

    def int8(self):
        return self.take(">b")

    def int16(self):
        return self.take(">h")

    def int32(self):
        return self.take(">i")

    def int64(self):
        return self.take(">q")

    def string(self):
        size = self.int16()
        if size < 0:
            return None
        self.at += size
        return self.data[self.at - size:self.at].decode()

    def array(self, item):
        return [item() for _ in range(max(self.int32(), 0))]


# --------------------------------------------------------------------------------------- certificates

def make_certificates(folder):
    """A throw-away CA, a broker certificate for 127.0.0.1 and a client certificate, all PEM."""
    folder.mkdir(parents=True, exist_ok=True)

    def openssl(*words):
        done = subprocess.run(["openssl", *words], cwd=folder, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        if done.returncode:
            raise KafkaError(f"openssl {words[0]}: {done.stdout}")

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem",
            "-days", "3650", "-subj", "/CN=weir test CA")
    for who in ("broker", "client"):
        (folder / "extensions").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{who}.key", "-out", f"{who}.csr",
                "-subj", f"/CN=weir-{who}")
        openssl("x509", "-req", "-in", f"{who}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-out", f"{who}.pem", "-days", "3650", "-extfile", "extensions")
    (folder / "keystore.pem").write_text(
        (folder / "broker.key").read_text() + (folder / "broker.pem").read_text())


# ---------------------------------------------------------------------------------------------- broker

def start_time(pid):
    """The start time of a live process, so that a reused pid is never mistaken; None when dead."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


class Broker:
    """One broker, described by <folder>/broker.json. Methods may be called from several processes."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder).resolve()
        self.file = self.folder / "broker.json"
        if not self.file.is_file():
            raise KafkaError(f"no broker was started in {self.folder}")
        self.info = json.loads(self.file.read_text())

    @property
    def bootstrap(self):
        return self.info["bootstrap"]

    @classmethod
    def start(cls, folder, version=DEFAULT_VERSION, properties=None, sasl=False, ssl=False,
              transaction_version=None, owner=None):
        """Formats a new data folder and starts a broker on it. Returns when it answers."""
        folder = pathlib.Path(folder).resolve()
        if (folder / "broker.json").is_file():
            raise KafkaError(f"{folder} already has a broker: stop, restart, or take another folder")
        jars = fetch(version)
        folder.mkdir(parents=True, exist_ok=True)
        names = ["plaintext", "controller"]
        names += ["sasl"] if sasl else []
        names += ["ssl"] if ssl else []
        names += ["sasl_ssl"] if sasl and ssl else []
        if ssl:
            make_certificates(folder / "ssl")
        for attempt in (1, 2, 3):
            ports = dict(zip(names, free_ports(len(names))))
            info = {
                "version": version, "jars": str(jars), "pid": 0, "start_time": 0, "ports": ports,
                "bootstrap": f"127.0.0.1:{ports['plaintext']}",
                "listeners": {name: f"127.0.0.1:{port}" for name, port in ports.items()
                              if name != "controller"},
            }
            if sasl:
                info["sasl"] = {"user": SASL_USER, "password": SASL_PASSWORD,
                                "mechanisms": SASL_MECHANISMS}
            if ssl:
                info["ssl"] = {"ca": str(folder / "ssl" / "ca.pem"),
                               "certificate": str(folder / "ssl" / "client.pem"),
                               "key": str(folder / "ssl" / "client.key")}
            text = server_properties(folder, ports, properties or {}, ssl)
            (folder / "server.properties").write_text(text)
            format_storage(folder, jars, sasl, transaction_version)
            save(folder / "broker.json", info)
            broker = cls(folder)
            try:
                broker.launch()
            except KafkaError as error:
                (folder / "broker.json").unlink()
                if "Address already in use" not in str(error) or attempt == 3:
                    raise
                shutil.rmtree(folder / "data", ignore_errors=True)
                continue
            break
        if owner:
            broker.watch(owner)
        return broker

    def launch(self):
        """Starts the process and waits until it answers; raises with the log's end otherwise."""
        log_path = self.folder / "broker.log"
        log_start = log_path.stat().st_size if log_path.is_file() else 0
        with open(log_path, "ab") as log:
            process = subprocess.Popen(
                [java(), "-Xmx512m", "-Xms256m", "-XX:+UseSerialGC", "-XX:-UsePerfData",
                 "-Xshare:auto", "-Dorg.slf4j.simpleLogger.showDateTime=true",
                 "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
                 *os.environ.get("WEIR_KAFKA_JVM", "").split(),
                 "-cp", f"{self.info['jars']}/*", "kafka.Kafka", "server.properties"],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)
        self.info.update(pid=process.pid, start_time=start_time(process.pid))
        save(self.file, self.info)
        deadline = time.monotonic() + READY_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            if self.is_ready():
                return
            time.sleep(0.05)
        if process.poll() is None:
            process.kill()
            process.wait()
        with open(log_path, "rb") as log:
            log.seek(log_start)
            lines = log.read().decode(errors="replace").splitlines()
        wrong = [line for line in lines if "ERROR" in line or "Exception" in line or "use" in line]
        tail = "\n".join((wrong or lines)[:5] + lines[-15:])
        raise KafkaError(f"Kafka {self.info['version']} did not start, see {log_path}:\n{tail}")

    def is_ready(self):
        """Whether the broker is registered and every partition it knows has a leader again."""
        try:
            with Wire(self.bootstrap, timeout=2.0) as wire:
                metadata = wire.metadata()
        except (OSError, struct.error):
            return False
        return metadata["brokers"] > 0 and all(
            leader >= 0 for topic in metadata["topics"].values()
            for leader in topic["leaders"].values())

    def is_alive(self):
        pid = self.info["pid"]
        return bool(pid) and start_time(pid) == self.info["start_time"]

    def signal(self, number):
        if not self.is_alive():
            raise KafkaError(f"the broker of {self.folder} is not running")
        os.kill(self.info["pid"], number)

    def wait_gone(self, seconds):
        deadline = time.monotonic() + seconds
        while self.is_alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
            try:
                os.waitpid(self.info["pid"], os.WNOHANG)  # Only matters when it is our own child.
            except ChildProcessError:
                pass
        return True

    def stop(self):
        """Graceful stop; a broker that does not go is killed, which is reported by False."""
        if not self.is_alive():
            return True
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        if self.wait_gone(STOP_SECONDS):
            return True
        self.kill()
        return False

    def kill(self):
        if self.is_alive():
            self.signal(signal.SIGKILL)
            if not self.wait_gone(10):
                raise KafkaError(f"process {self.info['pid']} survived SIGKILL")

    def restart(self, properties=None):
        """Stops the broker if it runs, then starts it on the same ports and data."""
        self.stop()
        if properties:
            with open(self.folder / "server.properties", "a", encoding="utf-8") as file:
                file.writelines(f"{key}={value}\n" for key, value in properties.items())
        self.launch()

    def pause(self):
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)

    def create_topic(self, name, partitions=1, config=None):
        """Returns when every partition has a leader, so that a producer may start at once."""
        with Wire(self.bootstrap) as wire:
            wire.create_topic(name, partitions, config or {})
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                leaders = wire.metadata()["topics"].get(name, {"leaders": {}})["leaders"]
                if len(leaders) == partitions and min(leaders.values()) >= 0:
                    return
                time.sleep(0.02)
        raise KafkaError(f"topic {name} got no leaders")

    def delete_topic(self, name):
        with Wire(self.bootstrap) as wire:
            wire.delete_topic(name)

    def topics(self):
        """Names and partition counts of the topics that are not Kafka's own."""
        with Wire(self.bootstrap) as wire:
            return {name: len(topic["leaders"]) for name, topic in wire.metadata()["topics"].items()
                    if not topic["internal"]}

    def end_offsets(self, name, isolation="read_uncommitted"):
        with Wire(self.bootstrap) as wire:
            partitions = sorted(wire.metadata()["topics"].get(name, {"leaders": {}})["leaders"])
            if not partitions:
                raise KafkaError(f"no topic {name}")
            return wire.end_offsets(name, partitions, isolation)

    def console_dump(self, name, isolation="read_committed", keys=False, timeout_ms=3000):
        """What Kafka's own console consumer prints: an oracle that shares no code with weir."""
        main = "org.apache.kafka.tools.consumer.ConsoleConsumer"
        command = [java(), "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                   "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                   "-cp", f"{self.info['jars']}/*", main,
                   "--bootstrap-server", self.bootstrap, "--topic", name, "--from-beginning",
                   "--timeout-ms", str(timeout_ms)]
        # 4.2 renamed both options and warns about the old names; 3.9 knows the old ones only.
        new = tuple(int(part) for part in self.info["version"].split(".")[:2]) >= (4, 2)
        command += ["--command-property" if new else "--consumer-property",
                    f"isolation.level={isolation}"]
        if keys:
            command += ["--formatter-property" if new else "--property", "print.key=true"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=False)
        if done.returncode:
            raise KafkaError(f"console consumer: {done.stderr.decode(errors='replace')[-2000:]}")
        return done.stdout

    def watch(self, owner):
        """Leaves a process behind that kills this broker once `owner` is gone."""
        subprocess.Popen([sys.executable, __file__, "watch", "--dir", str(self.folder),
                          "--owner", str(owner)], stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
                         start_new_session=True)


def save(path, info):
    scratch = path.with_name(f"{path.name}.{os.getpid()}")
    scratch.write_text(json.dumps(info, indent=2) + "\n")
    os.replace(scratch, path)


def server_properties(folder, ports, properties, ssl):
    protocols = {"plaintext": "PLAINTEXT", "controller": "PLAINTEXT", "sasl": "SASL_PLAINTEXT",
                 "ssl": "SSL", "sasl_ssl": "SASL_SSL"}
    # Listener names carry no underscore: they become parts of property names.
    names = {name: name.replace("_", "").upper() for name in ports}
    listeners = [f"{names[name]}://127.0.0.1:{port}" for name, port in ports.items()]
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{ports['controller']}",
        "controller.listener.names": "CONTROLLER",
        "listeners": ",".join(listeners),
        "advertised.listeners": ",".join(
            text for name, text in zip(ports, listeners) if name != "controller"),
        "listener.security.protocol.map": ",".join(
            f"{names[name]}:{protocols[name]}" for name in ports),
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": str(folder / "data"),
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "5",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "5",
        # Share groups (4.1 and newer) keep a topic too; older brokers ignore the keys.
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        # After a crash the controller refuses the broker until its old session (9 s) has run out.
        "broker.session.timeout.ms": "6000",
        "broker.heartbeat.interval.ms": "500",
        # A transaction that ran into its timeout is aborted within a second, not within ten.
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
        # A topic that springs into being with one partition hides mistakes of a test.
        "auto.create.topics.enable": "false",
        "log.cleaner.dedupe.buffer.size": "8388608",
        "log.cleaner.threads": "1",
        "num.network.threads": "2",
        "num.io.threads": "4",
        "num.recovery.threads.per.data.dir": "2",
    }
    if "sasl" in ports:
        settings["sasl.enabled.mechanisms"] = ",".join(SASL_MECHANISMS)
        for name in ("sasl", "sasl_ssl"):
            if name not in ports:
                continue
            prefix = f"listener.name.{names[name].lower()}"
            settings[f"{prefix}.plain.sasl.jaas.config"] = (
                "org.apache.kafka.common.security.plain.PlainLoginModule required "
                f'user_{SASL_USER}="{SASL_PASSWORD}";')
            for mechanism in SASL_MECHANISMS[1:]:
                settings[f"{prefix}.{mechanism.lower()}.sasl.jaas.config"] = (
                    "org.apache.kafka.common.security.scram.ScramLoginModule required;")
    if ssl:
        settings.update({
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(folder / "ssl" / "keystore.pem"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(folder / "ssl" / "ca.pem"),
            "ssl.client.auth": "requested",
        })
    settings.update(properties)
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def format_storage(folder, jars, sasl, transaction_version):
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode().replace("-", "A")
    command = [java(), "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
               "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", f"{jars}/*",
               "kafka.tools.StorageTool", "format", "--cluster-id", cluster,
               "--config", "server.properties"]
    if transaction_version is not None:
        command += ["--feature", f"transaction.version={transaction_version}"]
    if sasl:
        for mechanism in SASL_MECHANISMS[1:]:
            command += ["--add-scram", f"{mechanism}=[name={SASL_USER},password={SASL_PASSWORD}]"]
    done = subprocess.run(command, cwd=folder, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise KafkaError(f"formatting {folder / 'data'}: {done.stdout[-2000:]}")


def watch(folder, owner):
    """Ends when the owner is gone (and kills the broker) or when the broker's folder is gone."""
    born = start_time(owner)
    while born is not None and start_time(owner) == born:
        if not (pathlib.Path(folder) / "broker.json").is_file():
            return
        time.sleep(0.3)
    Broker(folder).kill()


# ------------------------------------------------------------------------------------------ command line

def pairs(words):
    result = {}
    for word in words or []:
        key, equals, value = word.partition("=")
        if not equals:
            raise KafkaError(f"'{word}' is not KEY=VALUE")
        result[key] = value
    return result


def parse(words):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)

    def verb(name, *, folder=True):
        sub = verbs.add_parser(name)
        if folder:
            sub.add_argument("--dir", required=True, type=pathlib.Path)
        return sub

    verb("fetch", folder=False).add_argument("--version", default=DEFAULT_VERSION)
    start = verb("start")
    start.add_argument("--version", default=DEFAULT_VERSION)
    start.add_argument("--property", action="append", metavar="K=V")
    start.add_argument("--sasl", action="store_true")
    start.add_argument("--ssl", action="store_true")
    start.add_argument("--transaction-version", type=int)
    start.add_argument("--owner", type=int, metavar="PID")
    for name in ("stop", "kill", "pause", "resume", "status"):
        verb(name)
    verb("restart").add_argument("--property", action="append", metavar="K=V")
    verb("watch").add_argument("--owner", required=True, type=int)
    topic = verb("topic", folder=False)
    topic.add_argument("action", choices=["create", "delete", "list"])
    topic.add_argument("name", nargs="?")
    topic.add_argument("--dir", required=True, type=pathlib.Path)
    topic.add_argument("--partitions", type=int, default=1)
    topic.add_argument("--config", action="append", metavar="K=V")
    for name in ("offsets", "console-dump"):
        sub = verb(name)
        sub.add_argument("name")
        sub.add_argument("--isolation", default="read_committed",
                         choices=["read_committed", "read_uncommitted"])
        if name == "console-dump":
            sub.add_argument("--keys", action="store_true")
            sub.add_argument("--timeout-ms", type=int, default=3000)
    return parser.parse_args(words)


def run(arguments):
    verb = arguments.verb
    if verb == "fetch":
        print(fetch(arguments.version))
        return
    if verb == "start":
        broker = Broker.start(arguments.dir, arguments.version, pairs(arguments.property),
                              arguments.sasl, arguments.ssl, arguments.transaction_version,
                              arguments.owner)
        print(broker.file.read_text(), end="")
        return
    if verb == "watch":
        watch(arguments.dir, arguments.owner)
        return
    broker = Broker(arguments.dir)
    if verb == "stop":
        if not broker.stop():
            raise KafkaError("the broker ignored SIGTERM and was killed")
    elif verb == "restart":
        broker.restart(pairs(arguments.property))
    elif verb in ("kill", "pause", "resume"):
        getattr(broker, verb)()
    elif verb == "status":
        print("ready" if broker.is_ready() else "running" if broker.is_alive() else "stopped")
    elif verb == "topic" and arguments.action == "list":
        for name, partitions in sorted(broker.topics().items()):
            print(name, partitions)
    elif verb == "topic":
        if not arguments.name:
            raise KafkaError(f"topic {arguments.action} needs a name")
        if arguments.action == "create":
            broker.create_topic(arguments.name, arguments.partitions, pairs(arguments.config))
        else:
            broker.delete_topic(arguments.name)
    elif verb == "offsets":
        for partition, offset in sorted(broker.end_offsets(arguments.name, arguments.isolation).items()):
            print(partition, offset)
    elif verb == "console-dump":
        sys.stdout.buffer.write(broker.console_dump(arguments.name, arguments.isolation,
                                                    arguments.keys, arguments.timeout_ms))


def main():
    try:
        run(parse(sys.argv[1:]))
    except (KafkaError, OSError) as error:
        print(f"kafka.py: {error}", file=sys.stderr)
        return getattr(error, "code", 1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
