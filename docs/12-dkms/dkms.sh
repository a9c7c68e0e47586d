#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# dkms with its three folders here, where an installed one has them below / and needs root:
# /usr/src, /var/lib/dkms and /lib/modules.
exec dkms "$@" --sourcetree "$PWD/src" --dkmstree "$PWD/dkms" --installtree "$PWD/modules"
