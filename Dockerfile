# syntax=docker/dockerfile:1
# crystalsmith in a container, installed from its wheel.
#
#   docker build -t crystalsmith .
#   docker run --rm -v "$PWD:/work" crystalsmith generate --formula TiO2 -n 4 -o tio2
#
# The page, for this machine alone; open http://127.0.0.1:8421/?token=A-LONG-SECRET
#
#   docker run --rm -p 127.0.0.1:8421:8421 -v "$PWD:/work" crystalsmith serve --host 0.0.0.0 --token A-LONG-SECRET
#
# For a card of NVIDIA's (on a machine with its container toolkit), with the CUDA version that its driver takes:
#
#   docker build -t crystalsmith:cuda --build-arg TORCH=cu128 .
#   docker run --rm --gpus all -v "$PWD:/work" crystalsmith:cuda generate --formula TiO2 -n 4 -o tio2 --device cuda
#
# Arguments: TORCH is the build of PyTorch, as `uv pip install --torch-backend` takes it; EXTRAS those of
# docs/start/install.md; PYTHON the version that constraints.txt was proven with.

ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS wheel
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip install --no-cache-dir "hatchling>=1.26,<2" \
    && python -m hatchling build -t wheel -d /wheel

FROM python:${PYTHON}-slim
ARG TORCH=cpu
ARG EXTRAS=relax,phonons,powder,web
RUN --mount=type=bind,from=wheel,source=/wheel,target=/wheel \
    --mount=type=bind,source=constraints.txt,target=/constraints.txt \
    pip install --no-cache-dir "uv>=0.8,<1" \
    && uv pip install --system --no-cache --torch-backend="${TORCH}" -c /constraints.txt \
        "crystalsmith[${EXTRAS}] @ file://$(echo /wheel/*.whl)"

# Not as root; and with `--user` as anybody, who may have no home.
RUN useradd --create-home --uid 1000 smith && install -d -o smith /work
ENV MPLCONFIGDIR=/tmp/matplotlib \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 1000
WORKDIR /work
RUN crystalsmith doctor
EXPOSE 8421
ENTRYPOINT ["crystalsmith"]
CMD ["--help"]
