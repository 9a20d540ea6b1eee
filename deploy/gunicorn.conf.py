"""What of gunicorn may be tuned per machine. `bankapi serve` reads it as $BANKAPI_HOME/gunicorn.conf.py.

Production runs `bankapi serve`, never `gunicorn -c`: most of gunicorn's settings would switch off a check, so only
these five may stand here, and anything else refuses to start. The file is read again at `systemctl reload`. Workers,
threads and deadlines are in bankapi.ini.
"""

# Connections the kernel keeps while no worker accepts, as during a restart. A socket that systemd made has its own:
# Backlog= in bankapi-gateway.socket.
backlog = 512

# Seconds without a sign of life after which a worker process is taken to hang, is ended and replaced.
timeout = 30

# A worker that has answered so many requests finishes and is replaced, one at a time, so that whatever libraries leak
# stays bounded. The jitter keeps workers from doing so together.
max_requests = 200_000
max_requests_jitter = 50_000

# Where workers give their signs of life: memory, so that a disk that hangs does not look like workers that do.
worker_tmp_dir = "/dev/shm"  # noqa: S108  gunicorn makes and unlinks a file of a random name
