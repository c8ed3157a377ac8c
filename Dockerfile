# One image for the API, the Prefect server, the Prefect worker and the command line; a second target is MLflow's server.
#   docker build --tag cropmap:0.1.0 .
#   docker build --tag cropmap-mlflow:0.1.0 --target mlflow .
ARG PYTHON=python:3.11-slim-bookworm

FROM ${PYTHON} AS build
# constraints.txt pins torch; this index carries the builds without CUDA, several GB smaller
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/cropmap
ENV PATH=/opt/cropmap/bin:$PATH
WORKDIR /src
COPY pyproject.toml constraints.txt README.md ./
COPY cropmap cropmap
COPY flows flows
COPY serving serving
RUN pip install --extra-index-url ${TORCH_INDEX} --constraint constraints.txt .

# the whole of MLflow wants older pyarrow and pandas than cropmap: it stands alone, in the version of mlflow-skinny
FROM ${PYTHON} AS build-mlflow
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/mlflow
COPY constraints.txt /tmp/
RUN /opt/mlflow/bin/pip install "mlflow==$(sed -n 's/^mlflow-skinny==//p' /tmp/constraints.txt)" \
    'psycopg[binary]' 'sqlalchemy<2.1'

FROM ${PYTHON} AS runtime
# rasterio's wheel brings GDAL but not expat; WeasyPrint lays out PDF reports with the system's Pango and fonts;
# bsdtar (libarchive-tools) unpacks RAR archives
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        libarchive-tools libexpat1 libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fonts-dejavu-core \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 cropmap \
    && useradd --uid 10001 --gid cropmap --no-create-home --home-dir /var/lib/cropmap --shell /usr/sbin/nologin cropmap \
    && install --directory --owner cropmap --group cropmap /var/lib/cropmap /var/lib/cropmap/store /var/lib/mlflow
ENV PATH=/opt/cropmap/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    CROPMAP_HOME=/var/lib/cropmap \
    DO_NOT_TRACK=1 \
    MLFLOW_DISABLE_TELEMETRY=true \
    PREFECT_SERVER_ANALYTICS_ENABLED=false
USER 10001:10001
WORKDIR /var/lib/cropmap
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["cropmap"]
CMD ["serve", "--host", "0.0.0.0"]

FROM runtime AS mlflow
COPY --from=build-mlflow /opt/mlflow /opt/mlflow
ENV PATH=/opt/mlflow/bin:$PATH
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:5000/health', timeout=4)"]
ENTRYPOINT ["mlflow"]
CMD ["server"]

FROM runtime AS cropmap
COPY --from=build /opt/cropmap /opt/cropmap
