#ifndef CHDF5_H
#define CHDF5_H
#include <hdf5.h>
#endif
