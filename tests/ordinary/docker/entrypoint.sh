#!/bin/bash
service ssh start
exec "$@"
