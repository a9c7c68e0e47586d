/* SPDX-License-Identifier: GPL-2.0 */
/* What greeter_sealed has for other modules. */
#ifndef _GREETER_SEALED_H
#define _GREETER_SEALED_H

extern const char greeter_abi_1;

#endif /* _GREETER_SEALED_H */
