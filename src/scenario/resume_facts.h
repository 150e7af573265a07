/// \file
/// What a checkpoint says about the training that left it, and whether that training can go on as a run asks. No tensors: the controller
/// asks before anything is written, and the ranks once more.
#pragma once
#include <string>

#include "scenario/run_spec.h"

namespace valbench {

struct ResumeFacts {
  std::string file;
  int epoch = -1;         ///< The last finished one; -1 = no training state in the file.
  int classes = 0;        ///< 0 = not known.
  std::string model;      ///< yolov5n; empty = no size of YOLOv5.
  std::string optimizer;  ///< SGD, Adam, AdamW; empty = no optimizer state in the file.
  std::string options;    ///< Options of that training, YAML in the form of opt.yaml; empty = not stored.
  std::string spec;       ///< Its run_spec_to_json(); empty where valbench did not write the file.
};

std::string resume_facts_to_json(const ResumeFacts& facts);
/// Throws Error when the text is no such JSON.
ResumeFacts resume_facts_from_json(const std::string& text);

/// Throws InputError where the file holds nothing that a training can go on from.
void check_resumable(const ResumeFacts& facts);

/// The epochs of a resumed training: those asked for, or where that many have been trained already, as many more (reference yolov5.md
/// §4.11).
int resumed_epochs(int epochs, const ResumeFacts& facts);

/// Images per step over all ranks that the training ran with, measured ones too; 0 = not known.
int trained_batch_size(const ResumeFacts& facts);

/// Throws InputError where `spec` is another training than the checkpoint's: other classes, model or optimizer; where its placement is
/// deferred; with `resume_exact` every
/// setting that numbers depend on. \param classes of the data set.
void check_resume(const ResumeFacts& facts, const RunSpec& spec, int classes);

}  // namespace valbench
