# Made numbers.json: runs Python YOLOv5 (PyPI yolov5==7.0.14, run as it is) on the model files here, with formula-made
# weights and images. python3 make_numbers.py OUT.json FILE.yaml, once for each file: `activation` of one file would stay
# for the next one.
import sys, json, math, types, logging
import torch, numpy as np
from yolov5.models.yolo import DetectionModel
logging.disable(logging.INFO)
def fill(model):
    i = 0
    for name, t in model.state_dict().items():
        if name.endswith('anchors') or name.endswith('num_batches_tracked'): i += 1; continue
        k = torch.arange(t.numel(), dtype=torch.float64) % 9973
        if t.dim() >= 2:
            fan = t[0].numel()
            v = math.sqrt(1.6 / fan) * (torch.sin(0.73*k + 0.11*i) + torch.sin(0.013*k*k + 0.7*i))
        elif name.endswith('running_mean'): v = 0.05*torch.sin(0.31*k + 0.03*i)
        elif name.endswith('running_var'): v = 1 + 0.2*torch.cos(0.17*k + 0.02*i)**2
        elif name.endswith('bias') : v = 0.1*torch.cos(0.19*k + 0.07*i)
        else: v = 1 + 0.1*torch.sin(0.23*k + 0.05*i)
        t.copy_(v.view(t.shape).float()); i += 1
def images(n, s):
    b, c, y, x = torch.meshgrid(*[torch.arange(m, dtype=torch.float64) for m in (n, 3, s, s)], indexing='ij')
    return (0.5 + 0.5*torch.sin(0.05*x + 0.09*y + 1.7*c + 0.0011*x*y + 0.6*b)).float()
def stats(t):
    d = t.detach().double().flatten()
    return [list(t.shape), d.sum().item(), d.norm().item(), d[len(d)//3].item()]
out = {}
for f in sys.argv[2:]:
    torch.manual_seed(0)
    m = DetectionModel(f, ch=3, nc=2)
    e = {'strides': [float(s) for s in m.stride], 'parameters': sum(p.numel() for p in m.parameters()),
         'state': [[n, list(t.shape)] for n, t in m.state_dict().items()], 'anchors': m.model[-1].anchors.tolist(),
         'initial_mean_norms': {n: t.norm().item() for n, t in m.state_dict().items() if n.endswith('running_mean') and t.norm() > 1e-6},
         'initial_var': sorted({round(v, 5) for n, t in m.state_dict().items() if n.endswith('running_var') for v in t.tolist()})}
    with torch.no_grad(): fill(m)
    m.eval()
    with torch.no_grad(): z, raw = m(images(1, 128))
    e['raw'] = [stats(r) for r in raw]; e['decoded'] = stats(z)
    m.train()
    raw = m(images(2, 128)); loss = sum((r**2).mean() for r in raw); loss.backward()
    e['train'] = [stats(r) for r in raw]
    e['grad_l2'] = math.sqrt(sum(p.grad.double().pow(2).sum().item() for p in m.parameters()))
    m.eval()
    with torch.no_grad(): fill(m)
    m.fuse()
    with torch.no_grad(): e['fused'] = stats(m(images(1, 128))[0])
    e['fused_entries'] = len(m.state_dict())
    out[f.split('/')[-1]] = e
json.dump(out, open(sys.argv[1], 'w'))
