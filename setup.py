"""The packages of the wheel; everything else is in pyproject.toml.

The interface, ``components/`` here, has another name in site-packages: other people have folders of
that name, too.
"""

from setuptools import find_packages, setup

INTERFACE = "attribution_visualization_tool"

interface = find_packages("components")
setup(
    packages=[
        *find_packages(include=["attribution*"]),
        INTERFACE,
        *(f"{INTERFACE}.{name}" for name in interface),
    ],
    package_dir={INTERFACE: "components"},
)
