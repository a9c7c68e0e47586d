/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The interface of sample for other modules: one total that all of them share.
 */
#ifndef _SAMPLE_H
#define _SAMPLE_H

#include <linux/types.h>

/**
 * sample_add() - add to the total
 * @amount: what to add, may be negative
 *
 * May be called from any context.
 *
 * Return: 0, or -ERANGE when the sum is no s64: then the total is unchanged.
 */
int sample_add(s64 amount);

/**
 * sample_total() - the total
 *
 * May be called from any context.
 *
 * Return: what all modules have added.
 */
s64 sample_total(void);

#endif /* _SAMPLE_H */
