"""See inside a trained model: states, responses, clusters, and the checks that prove them.

    trace ──► response, numbers ──► cocluster ──► inspection ──► page, summary, JSON, arrays
      └─────► flow, sentence, translate, checks (ablation, probe, search) ──┘

Everything reaches into a model through `trace` and `corpus` alone.
"""
