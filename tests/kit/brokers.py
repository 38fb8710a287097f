"""Real message brokers, each in a temporary folder and on free ports: RabbitMQ from Debian's package,
Kafka from its jars. Consumers are written with other libraries than Tael's producers."""

import itertools
import json
import os
import pathlib
import signal
import socket
import subprocess
import time

import kafka
import pika

from kit.maven import fetch
from kit.ports import free_port
from kit.server import ROOT, wait_until

START_SECONDS = 240  # both start slowly, and slower on a machine that is busy
STOP_SECONDS = 120


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        return True
    except OSError:
        return False


class Message:
    """What a consumer sees of an event."""

    def __init__(self, event_id, event_type, account, livemode, key, body, place):
        self.id = event_id
        self.type = event_type
        self.account = account
        self.livemode = livemode
        self.key = key
        self.body = body
        self.event = json.loads(body)
        self.place = place  # what keeps its order: a partition, the queue


class Broker:
    """A process of its own group, because both start children."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.process = None
        self.name = None
        self.names = itertools.count()
        self.new_name()

    def new_name(self):
        """Of a topic, or exchange and queue, that nothing is in yet."""
        self.name = f"tael.events-{next(self.names)}"
        return self

    def start(self):
        self.prepare()
        with open(self.folder / "output", "ab") as output:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env={**os.environ, **self.environment()}, start_new_session=True)
        wait_until(self.is_up, START_SECONDS, f"the start of {type(self).__name__}")
        return self

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.port}/{self.name}"

    def is_up(self):
        assert self.process.poll() is None, (self.folder / "output").read_text(errors="replace")
        return self.takes_work()

    def kill(self):
        """As kill -9."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def stop(self):
        """In order: RabbitMQ loses a quorum queue that is young when it is killed."""
        self.process.terminate()
        self.process.wait(STOP_SECONDS)
        self.process = None

    def close(self):
        if self.process is not None:
            self.kill()
        self.clean_up()

    def clean_up(self):
        pass


class RabbitMQ(Broker):
    scheme = "amqp"

    def __init__(self, folder):
        super().__init__(folder)
        self.epmd_port, self.distribution_port = free_port(), free_port()

    def prepare(self):
        (self.folder / "home").mkdir(exist_ok=True)
        (self.folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\nloopback_users = none\n"
            "log.file = false\nlog.console = true\nlog.console.level = warning\n"
            "disk_free_limit.absolute = 1MB\nvm_memory_high_watermark.relative = 0.9\n")

    def command(self):
        return ["/usr/lib/rabbitmq/bin/rabbitmq-server"]

    def environment(self):
        return {
            "HOME": str(self.folder / "home"),
            "RABBITMQ_NODENAME": f"tael{self.port}@localhost",
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_DIST_PORT": str(self.distribution_port),
            "ERL_EPMD_PORT": str(self.epmd_port),
        }

    def connect(self):
        return pika.BlockingConnection(pika.ConnectionParameters(
            "127.0.0.1", self.port, socket_timeout=30, blocked_connection_timeout=30))

    def takes_work(self):
        try:
            self.connect().close()
            return True
        except pika.exceptions.AMQPError:
            return False

    def evaluate(self, expression):
        subprocess.run(
            ["/usr/lib/rabbitmq/bin/rabbitmqctl", "eval", expression],
            env={**os.environ, **self.environment()}, check=True, capture_output=True, timeout=120)

    def lose_queue(self):
        """What is left when RabbitMQ was killed while the queue was young: its description."""
        self.evaluate(f"ra:force_delete_server(quorum_queues, {{'%2F_{self.name}', node()}}).")

    def set_heartbeat(self, seconds):
        """A connection of which nothing was heard for twice as long is ended."""
        self.evaluate(f"application:set_env(rabbit, heartbeat, {seconds}).")

    def delete_queue(self):
        connection = self.connect()
        connection.channel().queue_delete(self.name)
        connection.close()

    def clean_up(self):
        subprocess.run(["epmd", "-port", str(self.epmd_port), "-kill"], check=False,
                       capture_output=True)

    def read(self, until, seconds=120):
        """Messages, taken out of the queue, until `until(messages)` is true or nothing comes."""
        messages = []
        connection = self.connect()
        channel = connection.channel()
        deadline = time.monotonic() + seconds
        while not until(messages) and time.monotonic() < deadline:
            method, properties, body = channel.basic_get(self.name)
            if method is None:
                time.sleep(0.05)
                continue
            assert properties.delivery_mode == 2 and properties.type == method.routing_key
            messages.append(Message(
                properties.message_id, method.routing_key, properties.headers["account"],
                properties.headers["livemode"], properties.headers["object"], body, "queue"))
            channel.basic_ack(method.delivery_tag)
        connection.close()
        return messages


class Kafka(Broker):
    scheme = "kafka"

    def __init__(self, folder):
        super().__init__(folder)
        self.controller_port = free_port()
        self.jars = ":".join(str(jar) for jar in fetch(ROOT / "tests" / "e2e" / "kafka.jars"))

    def java(self, *arguments):
        return ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", self.jars,
                *arguments]

    def prepare(self):
        if (self.folder / "server.properties").exists():
            return
        (self.folder / "server.properties").write_text(
            "process.roles=broker,controller\nnode.id=1\n"
            f"controller.quorum.voters=1@127.0.0.1:{self.controller_port}\n"
            f"listeners=PLAINTEXT://127.0.0.1:{self.port},"
            f"CONTROLLER://127.0.0.1:{self.controller_port}\n"
            f"advertised.listeners=PLAINTEXT://127.0.0.1:{self.port}\n"
            "controller.listener.names=CONTROLLER\n"
            "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n"
            f"log.dirs={self.folder}/data\nnum.partitions=3\nauto.create.topics.enable=true\n"
            "offsets.topic.replication.factor=1\nmin.insync.replicas=1\n"
            "transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n"
            "group.initial.rebalance.delay.ms=0\n")
        subprocess.run(
            self.java("kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAA",
                      "-c", str(self.folder / "server.properties")),
            check=True, capture_output=True, timeout=START_SECONDS)

    def command(self):
        return self.java("kafka.Kafka", str(self.folder / "server.properties"))

    def environment(self):
        return {}

    def consumer(self, *topics, **options):
        return kafka.KafkaConsumer(
            *topics, bootstrap_servers=f"127.0.0.1:{self.port}", enable_auto_commit=False,
            auto_offset_reset="earliest", **options)

    def takes_work(self):
        if not answers(self.port):
            return False
        try:
            one = self.consumer()
            one.topics()
            one.close()
            return True
        except kafka.errors.KafkaError:
            return False

    def read(self, until, seconds=120):
        """Messages from the beginning, until `until(messages)` is true or the time is over."""
        messages = []
        consumer = self.consumer(self.name)
        deadline = time.monotonic() + seconds
        while not until(messages) and time.monotonic() < deadline:
            for records in consumer.poll(timeout_ms=200).values():
                for record in records:
                    headers = {name: value.decode() for name, value in record.headers}
                    messages.append(Message(
                        headers["event-id"], headers["event-type"], headers["account"],
                        headers["livemode"] == "true", record.key.decode(), record.value,
                        record.partition))
        consumer.close()
        return messages


KINDS = {"rabbitmq": RabbitMQ, "kafka": Kafka}
