// All kernels that are compiled for one instruction set.
#pragma once

#include "interface.h"
#include "mogrifier.h"
#include "sru.h"
#include "training.h"

namespace seqcli {

struct Set {
    Kernels layers;
    TrainingKernels training;
    SruKernels sru;
    MogrifierKernels mogrifier;
};

}  // namespace seqcli
