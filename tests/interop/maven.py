"""Java clients: built by Maven from the published WSDL, and started again and again without waiting for the JVM."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

from tests import programs
from tests.interop.stacks import WSDL_FILE, Stack

JAVA = ("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xlog:disable")
"""A run is over before a better compiler has paid for itself, and standard output is for answers alone."""


def build(source: Path, folder: Path, stack: str) -> Path:
    """The jar of the client in `source`, with what the stack's generator makes of the published WSDL.

    Skips the test, and says why, when a tool is missing or Maven cannot reach its repository.
    """
    shutil.copy(source / "pom.xml", folder)
    shutil.copytree(source / "src", folder / "src")
    shutil.copy(WSDL_FILE, folder)
    programs.install(["mvn", "-q", "-B", "package"], folder, f"{stack} was not tried", "java", "javac")
    (jar,) = (folder / "target").glob("*.jar")
    return jar


def versions(jar: Path, **libraries: str) -> str:
    """Of the libraries beside the jar, by the names of their files, and of Java."""
    found = [f"{name} {_version(jar.parent / 'lib', library)}" for name, library in libraries.items()]
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True).stderr
    java = re.search('version "(.+?)"', said)
    assert java, said
    return ", ".join([*found, f"Java {java[1]}"])


def _version(folder: Path, library: str) -> str:
    (file,) = folder.glob(f"{library}-[0-9]*.jar")
    return file.stem.removeprefix(f"{library}-")


def started_quickly(stack: Stack, jar: Path) -> Stack:
    """The stack with the jar as its command. Loading classes is most of a run: archived once, they are only mapped."""
    archive = jar.with_suffix(".jsa")
    first = replace(stack, command=(*JAVA, f"-XX:ArchiveClassesAtExit={archive}", "-jar", str(jar)))
    first.run("ping", reference="-")
    return replace(stack, command=(*JAVA, f"-XX:SharedArchiveFile={archive}", "-jar", str(jar)))
