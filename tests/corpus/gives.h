/* SPDX-License-Identifier: GPL-2.0-only */
int gives_gpl(int value);
int gives_any(int value);
int gives_named(int value);
int gives_chosen(int value);
int again_any(int value);
